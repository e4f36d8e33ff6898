// SPDX-License-Identifier: Apache-2.0
package org.iommu4j;

import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import org.iommu4j.pci.PciFunction;

/**
 * A vendor's driver, opened on a platform: all its units in this machine.
 *
 * <p>After opening, translation is on and every device is blocked until it is attached to a domain. A unit has one
 * driver at a time, where the platform takes account of who has its registers. Thread-safe. Source:
 * {@code struct iommu_ops}.
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
     * <p>Probing the same function again returns the same device. The aliases are requester ids. Firmware may map them
     * to source ids of the unit, which can be wider than 16 bits: the driver reads that map itself.
     *
     * @param function the PCI function
     * @param dmaAliases every requester id (bus 15:8, device 7:3, function 2:0) with which the function's requests may
     *     leave its root port, its own first; all of the function's segment
     * @return the device, or empty when no unit translates for it
     * @throws IommuException ENODEV when the driver is closed; ENOMEM
     */
    Optional<IommuDevice> probe(PciFunction function, int... dmaAliases);

    /**
     * Takes a device that is not on PCI under the driver's care.
     *
     * <p>Probing the same device again returns the same {@link IommuDevice}. The driver learns the source ids of the
     * device's requests from firmware's tables. A driver whose units translate for PCI functions only knows no named
     * device, open or closed. Source: {@code probe_device} in {@code struct iommu_ops}, which gets devices of any bus.
     *
     * @param device the device's name, as firmware's tables have it
     * @return the device, or empty when no unit translates for it
     * @throws IommuException ENODEV when the driver is closed; ENOMEM
     */
    default Optional<IommuDevice> probe(NamedDevice device) {
        Objects.requireNonNull(device, "device");
        return Optional.empty();
    }

    /** Answers a question about a device that this driver probed. Constant for the device's life. */
    boolean capable(IommuDevice device, IommuCapability capability);

    /**
     * Makes an empty domain that fits the device; the device is not attached.
     *
     * @throws IommuException ENOMEM; ENOSPC (out of domain ids, where the vendor takes one per domain); EOPNOTSUPP
     *     when the device's unit can't do this type
     */
    IommuDomain allocate(DomainType type, IommuDevice device);

    /**
     * Makes an empty domain that fits the device and can do what the flags ask; the device is not attached.
     *
     * <p>A driver that has no such abilities takes no flags.
     *
     * @param flags none for {@link #allocate(DomainType, IommuDevice)}
     * @throws IommuException as {@link #allocate(DomainType, IommuDevice)}; EOPNOTSUPP when the device's unit can't do
     *     what a flag asks, EINVAL when flags exclude each other or the type is not {@link DomainType#UNMANAGED}
     */
    default IommuDomain allocate(DomainType type, IommuDevice device, Set<DomainFlag> flags) {
        if (!flags.isEmpty()) {
            throw new IommuException(Errno.EOPNOTSUPP, "the driver " + vendor() + " has no domains with " + flags);
        }
        return allocate(type, device);
    }

    /**
     * Takes out the requests that the units refused since the last call, oldest first for each unit.
     *
     * <p>Reads the units' logs, which a driver otherwise reads when it changes something. Source: {@code dmar_fault},
     * {@code iommu_poll_events}.
     */
    default List<DmaFault> takeFaults() {
        return List.of();
    }

    /** Returns how many times a unit said that its log was full and that it lost refusals. */
    default long faultOverflows() {
        return 0;
    }

    /**
     * Returns how many frames of tables and queues are kept for good because an invalidation never completed, or
     * because a unit did not confirm that it is off when this driver was closed.
     */
    long quarantinedFrames();

    /**
     * Turns translation off and frees all that is left, in any state; nested domains and their parents among it.
     *
     * <p>Frames that a unit may still use, because it did not confirm that it is off, are kept for good and counted.
     * Closing again does nothing. The driver's domains are closed with it ({@link IommuDomain#close}), its devices have
     * stopped asking for pages, and what comes later and would change something is refused with ENODEV: {@link #probe},
     * {@link #allocate}, {@link org.iommu4j.capability.PageRequests#enable} and
     * {@link org.iommu4j.capability.PageRequests#respond}. What is constant, or was counted or logged until then, goes
     * on being answered.
     *
     * @throws IommuException EBUSY while domains with attached devices exist
     */
    @Override
    void close();
}
