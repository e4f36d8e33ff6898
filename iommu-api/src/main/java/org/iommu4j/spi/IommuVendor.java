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
 * <p>Implementations have a public constructor without parameters and no state [vendor-1].
 */
public interface IommuVendor {
    /** Returns the vendor's name, of the characters a to z and 0 to 9, for example {@code intel} [vendor-name-1]. */
    String name();

    /**
     * Returns whether the firmware has this vendor's table, or a device tree that names a unit of its [claims-1].
     *
     * <p>Does not read the table: the answer is yes for a damaged one too, without an exception [claims-2]. A device
     * tree is nobody's own: it is searched for the vendor's names, also without an exception.
     */
    boolean claims(FirmwareTables firmware);

    /**
     * Returns whether the driver of a release finds its units in this firmware; by default, whether the vendor {@link
     * #claims(FirmwareTables) claims} it [claims-3].
     *
     * <p>A driver may have learnt to read a kind of firmware later than it was made. Before, its description of such a
     * host has units that are not used, and {@link #open} finds none: ENODEV. Under a release that it does not {@link
     * #supports support} it claims what it claims at all.
     */
    default boolean claims(FirmwareTables firmware, LinuxRelease release) {
        Objects.requireNonNull(release, "release");
        return claims(firmware);
    }

    /**
     * Returns whether something in the facts is this vendor's: its table, or a unit that Linux shows [recognises-1].
     *
     * <p>A shown unit is known by its name alone, since {@link ShownUnit} keeps no attributes and a log shows none.
     * This and {@link #describeSysfsUnit} agree about each unit that Linux shows: what is read there is recognised
     * here, by the names that the driver gives its units.
     */
    default boolean recognises(HostFacts facts) {
        return claims(facts.firmware());
    }

    /**
     * Returns the reader of the driver's lines in the kernel's log; one that knows no line by default [kernel-log-1].
     */
    default KernelLog kernelLog() {
        return KernelLog.NONE;
    }

    /**
     * Reads what Linux shows of a unit under {@code /sys/class/iommu}.
     *
     * <p>Every vendor on the path is asked about every unit, until one reads it or refuses it. A unit is this vendor's
     * by its name, or by attributes that units of this name alone have; {@link #recognises} must agree. Only then is
     * anything about it malformed: what is a stranger's is empty, whatever its attributes are.
     *
     * @param name the unit's directory, for example {@code dmar0}
     * @param attributes contents of the files below it by path, for example {@code intel-iommu/cap}; not to be trusted
     * @param firmware the host's tables, as far as known
     * @return the unit, or empty when it is not this vendor's [sysfs-1]
     * @throws IllegalArgumentException when it is this vendor's and can't be read; the message says what was expected
     *     [sysfs-2]
     */
    default Optional<ShownUnit> describeSysfsUnit(
            String name, Map<String, String> attributes, FirmwareTables firmware) {
        Objects.requireNonNull(name, "name");
        Objects.requireNonNull(attributes, "attributes");
        Objects.requireNonNull(firmware, "firmware");
        return Optional.empty();
    }

    /**
     * Returns all parameters of the kernel's command line that can change a description, on any host and under any
     * release; a description has those that matter for it [parameters-1]. Where values of one parameter take each other
     * back, a description has only the one that has an effect: it has one value of a parameter for each effect
     * [parameters-2].
     */
    default List<KernelParameter> kernelParameters() {
        return List.of();
    }

    /**
     * Returns whether the driver is built for a release: then it describes hosts and opens under it [supports-1].
     *
     * <p>Callers ask before they {@link #describe} or {@link #open}. By default the answer is yes for every known
     * release.
     */
    default boolean supports(LinuxRelease release) {
        return release.isKnown();
    }

    /**
     * Returns what the driver does differently from release to release; nothing by default [rules-1].
     *
     * <p>A driver declares its rules in one list and reads them as a record, which {@link
     * org.iommu4j.release.RuleRecords} makes for a release. Each rule names the test that is red when it is wrong.
     */
    default List<ReleaseRule<?>> releaseRules() {
        return List.of();
    }

    /**
     * Says what is known of a host without touching it: no register, no memory, no frame [describe-1].
     *
     * <p>What the facts do not tell is left unknown, null, empty or 0, and never guessed [describe-2]. What Linux shows
     * takes precedence over a table, and a difference is a warning [describe-3]. So is a wrong checksum of a table
     * [describe-4]. A description has the units in the firmware's order, with the names of {@link Iommu#units}
     * [describe-5]. It has every function of the topology once, with at least one reason, the deciding one first, and
     * sorted regions [describe-6]. Where all is known, it agrees with what an opened driver answers for each device:
     * the unit, the reserved regions, isolated interrupts, enforcement, and the refusal of devices with direct regions
     * [describe-7].
     *
     * @param facts the host
     * @param release the rules to answer by
     * @throws org.iommu4j.platform.MalformedTableException when the vendor's table, or the device tree that it searches,
     *     can't be read [describe-8]
     * @throws IllegalArgumentException when nothing in the facts is this vendor's, or the driver does not {@link
     *     #supports support} the release [describe-9]
     */
    HostDescription describe(HostFacts facts, LinuxRelease release);

    /**
     * Says what tables and register values tell, as {@link #describe(HostFacts, LinuxRelease)} does.
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
     * device blocked, in whatever state firmware left the units [open-1].
     *
     * <p>Where Linux's driver refuses a unit that is already in use, unless the kernel runs after a crash, a driver may
     * do so too: EBUSY, and with {@code elfcorehdr} on the command line it takes the unit over.
     *
     * <p>Drivers that are opened on two platforms do not see each other [open-2].
     *
     * @throws org.iommu4j.IommuException ENODEV (no table, no unit in it, or a unit whose registers make no sense: all
     *     ones, all zeros) [open-3]; EBUSY (another driver has a unit's registers) [open-4]; EINVAL (malformed table or
     *     wrong checksum) [open-5]; ENOMEM [open-6]; ETIMEDOUT (a unit does not answer) [open-7]. Everything is off and
     *     freed again, but for frames that a unit may still use because it did not confirm that it is off [open-8]. No
     *     bytes of a table lead to another exception [open-9]
     * @throws IllegalArgumentException when the driver does not {@link #supports support} the context's release
     *     [open-10]
     */
    Iommu open(VendorContext context);
}
