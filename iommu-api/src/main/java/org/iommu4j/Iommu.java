// SPDX-License-Identifier: Apache-2.0
package org.iommu4j;

import java.util.List;
import java.util.Optional;
import org.iommu4j.platform.PciFunction;

/**
 * A vendor's driver, opened on a platform: all its units in this machine.
 *
 * <p>After opening, translation is on and every device is blocked until it is attached to a domain. Thread-safe.
 * Source: {@code struct iommu_ops}.
 */
public interface Iommu extends AutoCloseable {
    /** Returns the vendor's name, as {@link org.iommu4j.spi.IommuVendor#name()}. */
    String vendor();

    /** Returns the release whose rules this driver follows. */
    LinuxRelease release();

    /** Returns the names of its units in the order of the firmware's table, for example {@code dmar0}. */
    List<String> units();

    /**
     * Takes a function under the driver's care.
     *
     * <p>Probing the same function again returns the same device.
     *
     * @param function the PCI function
     * @param dmaAliases every requester id (bus 15:8, device 7:3, function 2:0) with which the function's requests may
     *     arrive at the unit, its own first; all of the function's segment
     * @return the device, or empty when no unit translates for it
     * @throws IommuException ENOMEM
     */
    Optional<IommuDevice> probe(PciFunction function, int... dmaAliases);

    /** Answers a question about a device that this driver probed. Constant for the device's life. */
    boolean capable(IommuDevice device, IommuCapability capability);

    /**
     * Makes an empty domain that fits the device; the device is not attached.
     *
     * @throws IommuException ENOMEM; ENOSPC (out of domain ids, where the vendor takes one per domain); EOPNOTSUPP
     *     when the device's unit can't do this type
     */
    IommuDomain allocate(DomainType type, IommuDevice device);

    /** Returns how many table frames are kept for good because an invalidation never completed. */
    long quarantinedFrames();

    /**
     * Turns translation off and frees all that is left, in any state.
     *
     * @throws IommuException EBUSY while domains with attached devices exist
     */
    @Override
    void close();
}
