// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.spi;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.iommu4j.Iommu;
import org.iommu4j.LinuxRelease;
import org.iommu4j.pci.PciTopology;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.release.ReleaseRule;

/**
 * A vendor's driver, as {@link java.util.ServiceLoader} finds it.
 *
 * <p>Implementations have a public constructor without parameters and no state.
 */
public interface IommuVendor {
    /** Returns the vendor's name, of the characters a to z and 0 to 9, for example {@code intel}. */
    String name();

    /** Returns whether the firmware has this vendor's table. Does not read it. */
    boolean claims(FirmwareTables firmware);

    /** Returns whether something in the facts is this vendor's: its table, or a unit that Linux shows. */
    default boolean recognises(HostFacts facts) {
        return claims(facts.firmware());
    }

    /** Returns what the driver prints into the kernel's log; nothing is known of it unless the vendor says. */
    default KernelLog kernelLog() {
        return KernelLog.NONE;
    }

    /**
     * Reads what Linux shows of a unit under {@code /sys/class/iommu}.
     *
     * @param name the unit's directory, for example {@code dmar0}
     * @param attributes contents of the files below it by path, for example {@code intel-iommu/cap}; not to be trusted
     * @param firmware the host's tables, as far as known
     * @return the unit, or empty when it is not this vendor's
     * @throws IllegalArgumentException when it is this vendor's and can't be read; the message says what was expected
     */
    default Optional<ShownUnit> describeSysfsUnit(
            String name, Map<String, String> attributes, FirmwareTables firmware) {
        Objects.requireNonNull(name, "name");
        Objects.requireNonNull(attributes, "attributes");
        Objects.requireNonNull(firmware, "firmware");
        return Optional.empty();
    }

    /**
     * Returns all parameters of the kernel's command line that can change what is described, on whatever host and under
     * whatever release; a description has those that count for it. Where values of one parameter take each other back,
     * only the one that has an effect is among them.
     */
    default List<KernelParameter> kernelParameters() {
        return List.of();
    }

    /**
     * Returns whether the driver is built for a release. Callers ask before they {@link #describe} or {@link #open}.
     *
     * <p>It is for every known release unless the vendor says otherwise.
     */
    default boolean supports(LinuxRelease release) {
        return release.isKnown();
    }

    /** Returns what the driver does differently from release to release; none is known unless the vendor says. */
    default List<ReleaseRule<?>> releaseRules() {
        return List.of();
    }

    /**
     * Says what is known of a host without touching it; what the facts do not tell is left unknown.
     *
     * @param facts the host; a wrong checksum of a table is a warning here
     * @param release the rules to answer by
     * @throws org.iommu4j.platform.MalformedTableException when the vendor's table can't be read
     * @throws IllegalArgumentException when nothing in the facts is this vendor's, or the driver does not {@link
     *     #supports support} the release
     */
    HostDescription describe(HostFacts facts, LinuxRelease release);

    /**
     * Says what tables and register values tell.
     *
     * @param firmware the host's tables
     * @param topology the host's functions, as far as known
     * @param registers register values, as far as known
     * @param release the rules to answer by
     * @throws org.iommu4j.platform.MalformedTableException when the vendor's table can't be read
     * @throws IllegalArgumentException when the vendor's table is absent, or the driver does not {@link #supports
     *     support} the release
     */
    default HostDescription describe(
            FirmwareTables firmware, PciTopology topology, RegisterValues registers, LinuxRelease release) {
        return describe(HostFacts.of(firmware, topology, registers), release);
    }

    /**
     * Takes the hardware over: finds the units, sets up their tables and queues, and turns translation on with every
     * device blocked.
     *
     * @throws org.iommu4j.IommuException ENODEV (no table, no unit in it, or a unit whose registers make no sense),
     *     EBUSY (another driver has a unit's registers),
     *     EINVAL (malformed table or wrong checksum), ENOMEM, ETIMEDOUT (a unit does not answer); everything is off and
     *     freed again, but for frames that a unit may still use because it did not confirm that it is off
     * @throws IllegalArgumentException when the driver does not {@link #supports support} the context's release
     */
    Iommu open(VendorContext context);
}
