// SPDX-License-Identifier: Apache-2.0
package org.iommu4j;

import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.pci.PciFunction;

/**
 * A vendor's driver, opened on a platform: all its units in this machine.
 *
 * <p>After opening, translation is on and every device is blocked until it is attached to a domain [driver-1]. A unit
 * has one driver at a time, where the platform takes account of the registers' owners [driver-2]. Thread-safe
 * [driver-3]. Source: {@code struct iommu_ops}.
 */
public interface Iommu extends AutoCloseable {
    /** Returns the vendor's name, as {@link org.iommu4j.spi.IommuVendor#name()} [driver-vendor-1]. */
    String vendor();

    /** Returns the release whose rules this driver follows, which is the context's [driver-release-1]. */
    LinuxRelease release();

    /** Returns the names of its units in the order of the firmware's table, for example {@code dmar0} [units-1]. */
    List<String> units();

    /**
     * Takes a function under the driver's care.
     *
     * <p>Probing the same function again returns the same device [probe-1]. After an attachment the unit translates
     * requests with each of the aliases, after a detachment it blocks each [probe-2]. Functions may share an alias
     * [probe-3]: they are in one group, and move together. The aliases are requester ids. Firmware may map them to
     * source ids of the unit, which can be wider than 16 bits: the driver reads that map itself.
     *
     * @param function the PCI function
     * @param dmaAliases every requester id (bus 15:8, device 7:3, function 2:0) with which the function's requests may
     *     leave its root port, its own first; all of the function's segment
     * @return the device, or empty when no unit translates for it [probe-4]
     * @throws IommuException ENODEV when the driver is closed [probe-5]; ENOMEM, and nothing has leaked: a table that
     *     the unit now has stays, empty, for the next attempt [probe-6]
     */
    Optional<IommuDevice> probe(PciFunction function, int... dmaAliases);

    /**
     * Takes a device that is not on PCI under the driver's care.
     *
     * <p>Probing the same device again returns the same {@link IommuDevice} [probe-named-1]. The driver learns the
     * source ids of the device's requests from firmware's tables. A driver whose units translate for PCI functions only
     * knows no named device, open or closed; on a machine where firmware names none, that is any driver. Source: {@code
     * probe_device} in {@code struct iommu_ops}, which gets
     * devices of any bus.
     *
     * @param device the device's name, as firmware's tables have it
     * @return the device, or empty when no unit translates for it [probe-named-2]
     * @throws IommuException ENODEV when a driver of named devices is closed [probe-named-3]; ENOMEM, and nothing has
     *     leaked [probe-named-4]
     */
    default Optional<IommuDevice> probe(NamedDevice device) {
        Objects.requireNonNull(device, "device");
        return Optional.empty();
    }

    /**
     * Answers a question about a device that this driver probed; constant for the device's life [capable-1].
     *
     * @throws IommuException ENODEV when the device is another driver's [capable-2]
     */
    boolean capable(IommuDevice device, IommuCapability capability);

    /**
     * Returns where the driver's Linux answers whether a device's domains could block no-snoop, {@link
     * IommuCapability#ENFORCE_CACHE_COHERENCY}; empty where the driver does not say, as by default.
     *
     * <p>The source has the vendor's name and only rules that the vendor declares [capability-source-1].
     */
    default Optional<DecisionSource> enforcementCapabilitySource() {
        return Optional.empty();
    }

    /**
     * Makes an empty domain of the type, which fits the device; the device stays where it is [allocate-1].
     *
     * <p>Domains can be allocated and closed any number of times: frames and ids come back [allocate-2].
     *
     * @throws IommuException ENOMEM [allocate-3]; ENOSPC (out of domain ids, where the vendor takes one per domain)
     *     [allocate-4]; EOPNOTSUPP when the device's unit can't do this type, and for {@link DomainType#NESTED}, which
     *     a parent makes [allocate-5]; ENODEV when the device is another driver's, or this driver is closed
     *     [allocate-6]
     */
    IommuDomain allocate(DomainType type, IommuDevice device);

    /**
     * Makes an empty domain that fits the device and can do what the flags ask; the device is not attached.
     *
     * <p>Without flags it is {@link #allocate(DomainType, IommuDevice)} [allocate-flags-1]. A driver that has no such
     * abilities takes no flags, as by default: any flag is refused with EOPNOTSUPP, also of another type.
     *
     * <p>A call may be wrong in several ways. ENODEV comes before all others: what does not belong to this driver, or
     * what is over, has no abilities to ask for. EINVAL comes before EOPNOTSUPP: what makes no sense on any unit is
     * not asked of this one. ENOSPC and ENOMEM come last.
     *
     * @param flags the abilities that the domain must have
     * @throws IommuException as {@link #allocate(DomainType, IommuDevice)}; EOPNOTSUPP when the device's unit can't do
     *     what a flag asks [allocate-flags-2]; EINVAL when flags exclude each other, or the type is not {@link
     *     DomainType#UNMANAGED} [allocate-flags-3]
     */
    default IommuDomain allocate(DomainType type, IommuDevice device, Set<DomainFlag> flags) {
        Objects.requireNonNull(flags, "flags");
        IommuDomain domain = allocate(type, device);
        if (!flags.isEmpty()) {
            domain.close();
            throw new IommuException(Errno.EOPNOTSUPP, "the driver " + vendor() + " has no domains with " + flags);
        }
        return domain;
    }

    /**
     * Makes an empty UNMANAGED domain, for user space that has asked for it by itself [allocate-user-1].
     *
     * <p>In some releases drivers choose another table for it, or know other flags, than for VFIO's type 1. Source:
     * {@code domain_alloc_user} of Linux 6.7 to 6.12, {@code domain_alloc_paging_flags} since.
     *
     * @param flags the abilities that the domain must have
     * @throws IommuException as {@link #allocate(DomainType, IommuDevice, Set)}; ENODEV when the device is another
     *     driver's, or this driver is closed [allocate-user-2]
     */
    default IommuDomain allocateForUser(IommuDevice device, Set<DomainFlag> flags) {
        Objects.requireNonNull(flags, "flags");
        return allocate(DomainType.UNMANAGED, device, flags);
    }

    /**
     * Returns whether the driver blocks a device before it looks whether a domain fits it, so that a device that a
     * domain refused stays blocked; constant for the driver's life [blocks-first-2].
     *
     * <p>Source: {@code device_block_translation} in {@code intel_iommu_attach_device}.
     */
    default boolean blocksBeforeAttach() {
        return false;
    }

    /**
     * Returns whether domains with page tables have what Linux calls the same ops whatever their format, so that VFIO's
     * type 1 tries a device in a domain of another format too; constant for the driver's life [shares-ops-1].
     *
     * <p>Source: {@code default_domain_ops}, of which a driver has one, or ops by format.
     */
    default boolean sharesOps() {
        return false;
    }

    /**
     * Returns whether the driver makes nested domains for some of its units; if not, no domain of it has {@link
     * IommuDomain#nesting} [nests-1]. Source: {@code domain_alloc_nested} in
     * {@code struct iommu_ops}, present or null.
     */
    default boolean nests() {
        return false;
    }

    /**
     * Takes out the requests that the units refused since the last call, each once, oldest first for each unit
     * [faults-1].
     *
     * <p>A report has the unit's name, the device, the PASID, the address, the direction and the reason, as far as the
     * hardware tells them [faults-2]. This reads the units' logs, which a driver otherwise reads when it changes
     * something. Source: {@code dmar_fault},
     * {@code iommu_poll_events}.
     */
    default List<DmaFault> takeFaults() {
        return List.of();
    }

    /**
     * Returns how many times a unit said that its log was full and that it lost refusals; it never falls [faults-3].
     *
     * <p>Recording goes on after an overflow [faults-4].
     */
    default long faultOverflows() {
        return 0;
    }

    /**
     * Returns how many frames of tables and queues are kept for good because an invalidation never completed, or
     * because a unit did not confirm that it is off when this driver was closed [quarantine-1].
     *
     * <p>A closed driver goes on answering [quarantine-2].
     */
    long quarantinedFrames();

    /**
     * Turns translation off and frees all that is left, in any state: open domains, nested domains and their parents
     * among it [driver-close-1].
     *
     * <p>Frames that a unit may still use, because it did not confirm that it is off, are kept for good and counted
     * [driver-close-2]. Closing again does nothing [driver-close-3]. The driver's domains are closed with it
     * ({@link IommuDomain#close}) [driver-close-4]. Its devices have stopped asking for pages [driver-close-5]. What
     * would change something is refused with ENODEV from then on: {@link #probe}, {@link #allocate},
     * {@link org.iommu4j.capability.PageRequests#enable} and {@link org.iommu4j.capability.PageRequests#respond}
     * [driver-close-6]. What is constant, or was counted or logged until then, goes on being answered [driver-close-7].
     * The units can be opened again, by this driver or another [driver-close-8].
     *
     * @throws IommuException EBUSY while domains with attached devices exist; nothing has changed [driver-close-9]
     */
    @Override
    void close();
}
