// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.core;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Function;
import org.iommu4j.AttachResult;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuCapability;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.ReservedRegion;
import org.iommu4j.pci.PciFunction;
import org.jspecify.annotations.Nullable;

/**
 * The smallest set of devices that the IOMMU can distinguish and isolate from others: one domain, one owner.
 *
 * <p>A group without an owner is in its default domain, and kernel drivers use it ({@link #useDefaultDomain}). To
 * assign it to another user, an owner claims it ({@link #claimDmaOwner}): claiming blocks it, and its owner may attach
 * domains. Thread-safe: one lock per group.
 *
 * <p>Source: {@code struct iommu_group} and the functions named at each method. What depends on the release is in
 * {@link CoreRules}.
 */
public final class IommuGroup {
    private final int id;
    private final List<IommuDevice> devices;
    private final boolean untrusted;
    private final Map<IommuDevice, PciFunction> physicalFunctions;
    private final GroupMoves moves;
    private final Object lock = new Object();

    /** Null before the group is set up and after core is closed. */
    private @Nullable IommuDomain defaultDomain;

    /** How unmaps in the default domain are flushed, or that addresses pass unchanged; read without the lock. */
    private volatile DefaultDomainPolicy type = DefaultDomainPolicy.DMA;

    /** The type that core chose. */
    private DefaultDomainPolicy automaticType = DefaultDomainPolicy.DMA;

    /** Made when first asked for, null for a default domain without. */
    private @Nullable DefaultDomainCookie cookie;

    private @Nullable IommuDomain blockingDomain;
    private @Nullable IommuDomain current;
    private @Nullable Object owner;

    /** How many drivers use the default domain, or how often the owner claimed. */
    private int ownerCount;

    /** How many resets of a device have begun and not ended; devices that are not reset are absent. */
    private final Map<IommuDevice, Integer> resets = new HashMap<>();

    /**
     * Makes one.
     *
     * @param physicalFunctions of those devices that are virtual functions
     */
    IommuGroup(int id, List<IommuDevice> devices, boolean untrusted, Map<IommuDevice, PciFunction> physicalFunctions) {
        this.id = id;
        this.devices = List.copyOf(devices);
        this.untrusted = untrusted;
        this.physicalFunctions = Map.copyOf(physicalFunctions);
        this.moves = new GroupMoves(id, this.devices);
    }

    /** Returns the group's number, from 0 in the order in which core found them. */
    public int id() {
        return id;
    }

    /** Returns the devices in the order of their addresses, at least one; a named device is alone. */
    public List<IommuDevice> devices() {
        return devices;
    }

    /**
     * Returns the physical function that a device is a virtual one of, empty when it is none.
     *
     * <p>It is the virtual function itself where the machine does not list the physical one. Source: {@code
     * pci_physfn}.
     */
    public Optional<PciFunction> physicalFunction(IommuDevice device) {
        Objects.requireNonNull(device, "device");
        return Optional.ofNullable(physicalFunctions.get(device));
    }

    /**
     * Returns the domain that kernel drivers use.
     *
     * @throws IommuException EPROBE_DEFER when core is closed
     */
    public IommuDomain defaultDomain() {
        synchronized (lock) {
            return requireDefaultDomain();
        }
    }

    /**
     * Returns the kind of the default domain. Source: {@code type} of the group in sysfs.
     */
    public DefaultDomainPolicy type() {
        return type;
    }

    /** Returns the kind of default domain that core chose: the one that {@code auto} in sysfs brings back. */
    public DefaultDomainPolicy automaticType() {
        synchronized (lock) {
            return automaticType;
        }
    }

    /**
     * Replaces the default domain by one of another kind.
     *
     * <p>From {@link DefaultDomainPolicy#DMA} to {@link DefaultDomainPolicy#DMA_FQ} nothing is replaced: the domain
     * becomes lazy, also while drivers are bound. Since 6.4 this one change is not checked: it makes a device lazy that
     * is not trusted, or whose driver can't defer a flush.
     *
     * <p>Source: {@code iommu_group_store_type}, {@code iommu_setup_default_domain}.
     *
     * @throws IommuException EPROBE_DEFER (core is closed), EPERM (a driver is bound, or the group is claimed), EBUSY
     *     (likewise, before 6.4; or the group is in another domain than its default one, or a device is reset), EINVAL
     *     (a device is not trusted and stays strict, does not fit the domain, or, before 6.4, is not alone in the
     *     group), EOPNOTSUPP and ENOMEM as {@link Iommu#allocate}, and as {@link IommuDomain#attach} and {@link
     *     IommuMapper#map}; nothing has changed
     */
    public void changeType(DefaultDomainPolicy wanted) {
        Objects.requireNonNull(wanted, "wanted");
        synchronized (lock) {
            IommuDomain old = requireDefaultDomain();
            boolean becomesLazy = wanted == DefaultDomainPolicy.DMA_FQ && type == DefaultDomainPolicy.DMA;
            boolean wholeGroups = rules().typeChange() == CoreRules.TypeChange.WHOLE_GROUP;
            if (becomesLazy && wholeGroups) {
                type = wanted;
                return;
            }
            if (!wholeGroups && devices.size() != 1) {
                throw new IommuException(Errno.EINVAL, this + " has more than one device, so its type can't change");
            }
            if (ownerCount != 0 && !becomesLazy) {
                throw new IommuException(
                        wholeGroups ? Errno.EPERM : Errno.EBUSY, this + " is in use, so its type can't change");
            }
            if (untrusted && wanted != DefaultDomainPolicy.DMA) {
                throw new IommuException(
                        Errno.EINVAL, this + " is not trusted, so its type stays " + DefaultDomainPolicy.DMA);
            }
            if (becomesLazy) {
                type = wanted;
            } else if (wanted != type) {
                replaceDefaultDomain(old, wanted);
            }
        }
    }

    /**
     * Returns what a user keeps with the default domain, and makes it when there is none.
     *
     * @param kind its class; a default domain has one cookie
     * @param make makes it for the default domain
     * @throws IommuException EPROBE_DEFER when core is closed
     */
    public <C extends DefaultDomainCookie> C cookie(Class<C> kind, Function<IommuDomain, C> make) {
        Objects.requireNonNull(kind, "kind");
        Objects.requireNonNull(make, "make");
        synchronized (lock) {
            IommuDomain domain = requireDefaultDomain();
            DefaultDomainCookie kept = cookie;
            if (kept == null) {
                kept = make.apply(domain);
                cookie = kept;
            }
            return kind.cast(kept);
        }
    }

    /**
     * Returns the domain that the devices are in now.
     *
     * @throws IommuException EPROBE_DEFER when core is closed
     */
    public IommuDomain domain() {
        synchronized (lock) {
            return requireCurrent();
        }
    }

    /** Returns whether the group has an owner. */
    public boolean dmaOwnerClaimed() {
        synchronized (lock) {
            return owner != null;
        }
    }

    /**
     * Returns whether the group is in use: by kernel drivers in its default domain, or by an owner.
     *
     * <p>A group that is in use can't be claimed. Source: {@code iommu_group_dma_owner_claimed}, which covers both
     * despite its name. VFIO calls a group viable when this is false.
     */
    public boolean inUse() {
        synchronized (lock) {
            return ownerCount != 0;
        }
    }

    /**
     * Returns whether the interrupts of all devices are remapped.
     *
     * <p>Source: {@code iommu_group_has_isolated_msi}.
     */
    public boolean isolatedMsi() {
        for (IommuDevice device : devices) {
            if (!device.isolatedMsi()) {
                return false;
            }
        }
        return true;
    }

    /**
     * Returns the reserved regions of all devices, sorted by start, those of one type merged where they overlap.
     *
     * <p>Source: {@code iommu_get_group_resv_regions}.
     */
    public List<ReservedRegion> reservedRegions() {
        return ReservedRegions.of(devices);
    }

    /**
     * A kernel driver binds to a device of the group.
     *
     * <p>Source: {@code iommu_device_use_default_domain}. Drivers that manage DMA themselves, such as vfio-pci, do not
     * call it.
     *
     * @throws IommuException ENODEV (not a device of this group), EPROBE_DEFER (core is closed), EBUSY (the group is
     *     claimed, or used in another domain)
     */
    public void useDefaultDomain(IommuDevice device) {
        synchronized (lock) {
            requireMember(device);
            IommuDomain wanted = requireDefaultDomain();
            if (ownerCount > 0 && (current != wanted || owner != null)) {
                throw new IommuException(
                        Errno.EBUSY, "group " + id + " of " + device.id() + " is not in its default domain's use");
            }
            ownerCount++;
        }
    }

    /**
     * A kernel driver unbinds. Source: {@code iommu_device_unuse_default_domain}.
     *
     * @throws IommuException ENODEV (not a device of this group), EINVAL (no driver is bound)
     */
    public void unuseDefaultDomain(IommuDevice device) {
        synchronized (lock) {
            requireMember(device);
            if (ownerCount == 0 || owner != null) {
                throw new IommuException(Errno.EINVAL, "no driver uses the default domain of group " + id);
            }
            ownerCount--;
        }
    }

    /**
     * Claims the whole group for one owner, and blocks its DMA.
     *
     * <p>Before 5.19 the DMA is not blocked: the group stays in its default domain.
     *
     * <p>Source: {@code iommu_group_claim_dma_owner}; before, the test of VFIO whether a group is viable.
     *
     * @param newOwner any object; compared by identity
     * @throws IommuException EINVAL (null owner; a device needs a direct mapping and so can't be blocked), EPERM (a
     *     driver is bound, or the group has an owner already, even the same), EBUSY (the group is in another domain
     *     than its default one, or a device is reset), EPROBE_DEFER (core is closed), and as {@link
     *     IommuDomain#attach}; nothing has changed
     */
    public void claimDmaOwner(@Nullable Object newOwner) {
        Object claimant = requireOwner(newOwner);
        synchronized (lock) {
            if (ownerCount != 0) {
                throw new IommuException(Errno.EPERM, "group " + id + " is in use, it can't be claimed");
            }
            takeOwnership(claimant);
        }
    }

    /**
     * Ends the ownership, however often the owner claimed, and returns the group to its default domain.
     *
     * <p>Source: {@code iommu_group_release_dma_owner}.
     *
     * @throws IommuException EINVAL when there is no owner; as {@link IommuDomain#attach} when a device could not be
     *     moved: the ownership has ended nevertheless, and that device is blocked
     */
    public void releaseDmaOwner() {
        synchronized (lock) {
            releaseOwnership();
        }
    }

    /**
     * Claims the group on behalf of one device; the same owner may claim again, for another device or the same.
     *
     * <p>Source: {@code iommu_device_claim_dma_owner}.
     *
     * @param newOwner any object; compared by identity
     * @throws IommuException ENODEV (not a device of this group), EPERM (a driver is bound, or there is another owner),
     *     and as {@link #claimDmaOwner}
     */
    public void deviceClaimDmaOwner(IommuDevice device, @Nullable Object newOwner) {
        Objects.requireNonNull(device, "device");
        Object claimant = requireOwner(newOwner);
        synchronized (lock) {
            requireMember(device);
            if (ownerCount == 0) {
                takeOwnership(claimant);
            } else if (owner == claimant) {
                ownerCount++;
            } else {
                throw new IommuException(Errno.EPERM, "group " + id + " of " + device.id() + " has another user");
            }
        }
    }

    /**
     * Takes one claim back; with the last one the group returns to its default domain.
     *
     * <p>Source: {@code iommu_device_release_dma_owner}.
     *
     * @throws IommuException ENODEV (not a device of this group), and as {@link #releaseDmaOwner}
     */
    public void deviceReleaseDmaOwner(IommuDevice device) {
        synchronized (lock) {
            requireMember(device);
            if (owner != null && ownerCount > 1) {
                ownerCount--;
            } else {
                releaseOwnership();
            }
        }
    }

    /**
     * Moves all devices to a domain, or none.
     *
     * <p>Source: {@code iommu_attach_group}.
     *
     * @return attached; or incompatible (Linux: {@code -EINVAL}), when the domain belongs to another driver or does not
     *     fit a device: all devices stay in their domain
     * @throws IommuException EBUSY (the group is in a domain that is neither its default nor its blocking one, or a
     *     device is {@linkplain #beginReset reset}), EPROBE_DEFER (core is closed), and as {@link IommuDomain#attach}:
     *     all devices stay in their domain
     */
    public AttachResult attach(IommuDomain domain) {
        Objects.requireNonNull(domain, "domain");
        synchronized (lock) {
            IommuDomain now = requireCurrent();
            if (now != defaultDomain && now != blockingDomain) {
                throw new IommuException(Errno.EBUSY, "group " + id + " is already attached to a domain");
            }
            if (domain.iommu() != iommu()) {
                return AttachResult.incompatible("the domain belongs to driver "
                        + domain.iommu().vendor() + ", group " + id + " to " + iommu().vendor());
            }
            return moveTo(domain);
        }
    }

    /**
     * Moves all devices of an owned group from the domain that they are in to another, or none. No request is refused
     * in between that both domains map, where the driver moves a device in one step.
     *
     * <p>Source: {@code iommu_replace_group_handle}.
     *
     * @return attached; or incompatible, when the domain belongs to another driver or does not fit a device: the
     *     devices stay in their domain. Since 6.19 a device that its driver left blocked stays blocked, although the
     *     group is taken to be in its old domain
     * @throws IommuException EINVAL (the group has no owner), EPROBE_DEFER (core is closed), and as {@link
     *     IommuDomain#attach}
     */
    public AttachResult replace(IommuDomain domain) {
        Objects.requireNonNull(domain, "domain");
        synchronized (lock) {
            requireCurrent();
            if (owner == null) {
                throw new IommuException(Errno.EINVAL, "group " + id + " has no owner");
            }
            if (domain.iommu() != iommu()) {
                return AttachResult.incompatible("the domain belongs to driver "
                        + domain.iommu().vendor() + ", group " + id + " to " + iommu().vendor());
            }
            return moveTo(domain);
        }
    }

    /**
     * Takes the group out of a domain: to the blocking domain when it has an owner, otherwise to its default domain.
     *
     * <p>Source: {@code iommu_detach_group}.
     *
     * @throws IommuException EINVAL when the group is not in this domain; as {@link IommuDomain#attach} when a device
     *     could not be moved: the group has left the domain nevertheless, and that device is blocked
     */
    public void detach(IommuDomain domain) {
        Objects.requireNonNull(domain, "domain");
        synchronized (lock) {
            if (requireCurrent() != domain) {
                throw new IommuException(Errno.EINVAL, "group " + id + " is not attached to this domain");
            }
            leaveFor(coreDomain());
        }
    }

    /**
     * Attaches the only device of this group. Source: {@code iommu_attach_device}.
     *
     * @return as {@link #attach}
     * @throws IommuException ENODEV (not a device of this group), EINVAL (the group has other devices too), and as
     *     {@link #attach}
     */
    public AttachResult attachDevice(IommuDevice device, IommuDomain domain) {
        Objects.requireNonNull(device, "device");
        Objects.requireNonNull(domain, "domain");
        synchronized (lock) {
            requireOnlyMember(device);
            return attach(domain);
        }
    }

    /**
     * Detaches the only device of this group. Source: {@code iommu_detach_device}.
     *
     * @throws IommuException ENODEV (not a device of this group), EINVAL (the group has other devices too, or is not in
     *     this domain), and as {@link #detach}
     */
    public void detachDevice(IommuDevice device, IommuDomain domain) {
        Objects.requireNonNull(device, "device");
        Objects.requireNonNull(domain, "domain");
        synchronized (lock) {
            requireOnlyMember(device);
            detach(domain);
        }
    }

    /**
     * A function that can use ATS is about to be reset: it is blocked, so that the unit waits for no answer of its TLB.
     *
     * <p>Until {@link #endReset} the group can't be attached or claimed. It may be detached and released: the device
     * that is reset is left alone then. Before 7.0 this does nothing. In 7.0 a group has one such device at a time;
     * since 7.1 it may have several, and each may be reset again while it is.
     *
     * <p>Source: {@code pci_dev_reset_iommu_prepare}, which Linux calls for functions that can use ATS, and no others.
     *
     * @throws IommuException ENODEV (not a device of this group), EBUSY (a device of the group is reset already, in
     *     7.0), EPROBE_DEFER (core is closed), EINVAL (the driver refuses to block the device), and as {@link
     *     IommuDomain#attach}; nothing has changed
     */
    public void beginReset(IommuDevice device) {
        synchronized (lock) {
            requireMember(device);
            CoreRules.Resetting rule = rules().resetting();
            if (rule == CoreRules.Resetting.UNNOTICED) {
                return;
            }
            requireCurrent();
            if (rule == CoreRules.Resetting.BY_GROUP) {
                requireNoReset();
            }
            if (!resets.containsKey(device)) {
                AttachResult result = requireBlockingDomain().attach(device);
                if (!result.attached()) {
                    throw new IommuException(Errno.EINVAL, device.id() + " can't be blocked: " + result.reason());
                }
            }
            resets.merge(device, 1, Integer::sum);
        }
    }

    /**
     * A reset that {@link #beginReset} announced is over: with a device's last one it returns to its group's domain.
     *
     * <p>Source: {@code pci_dev_reset_iommu_done}.
     *
     * @throws IommuException ENODEV (not a device of this group), EINVAL (the device is not reset, or does not fit the
     *     domain any more), and as {@link IommuDomain#attach}: the reset is over, and the device stays blocked
     */
    public void endReset(IommuDevice device) {
        synchronized (lock) {
            requireMember(device);
            if (rules().resetting() == CoreRules.Resetting.UNNOTICED) {
                return;
            }
            Integer depth = resets.get(device);
            if (depth == null) {
                throw new IommuException(Errno.EINVAL, device.id() + " is not reset");
            }
            if (depth > 1) {
                resets.put(device, depth - 1);
                return;
            }
            resets.remove(device);
            AttachResult result = requireCurrent().attach(device);
            if (!result.attached()) {
                throw new IommuException(
                        Errno.EINVAL, device.id() + " does not fit the domain of its group: " + result.reason());
            }
        }
    }

    /**
     * Returns whether a group that has a device with a {@link org.iommu4j.ReservedRegion.Type#DIRECT} region can't be
     * claimed by user space, whatever the vendor's driver does. For callers that ask before a group exists.
     */
    public static boolean keepsDirectDevices(LinuxRelease release) {
        return CoreRules.of(release).keepsDirectDevices();
    }

    @Override
    public String toString() {
        StringBuilder text = new StringBuilder("group ").append(id).append(" {");
        String separator = "";
        for (IommuDevice device : devices) {
            text.append(separator).append(device.id());
            separator = ", ";
        }
        return text.append('}').toString();
    }

    /** Returns the driver of the group's first device; core refuses groups with two drivers. */
    Iommu iommu() {
        return devices.get(0).iommu();
    }

    /**
     * Gives the group its first default domain.
     *
     * @param policy what is wanted of a group without special devices
     * @throws IommuException EINVAL when a device does not fit the domain, and as {@link Iommu#allocate}, {@link
     *     IommuMapper#map} and {@link IommuDomain#attach}; devices that were moved are blocked again
     */
    void start(DefaultDomainPolicy policy) {
        synchronized (lock) {
            // A device that is not trusted never reaches all of memory, and never what was unmapped.
            DefaultDomainPolicy chosen = untrusted ? DefaultDomainPolicy.DMA : policy;
            IommuDomain first = newDefaultDomain(chosen);
            try {
                moves.enter(first, toString());
            } catch (RuntimeException failure) {
                first.close();
                throw failure;
            }
            defaultDomain = first;
            current = first;
            automaticType = chosen;
            type = deferrable(chosen);
        }
    }

    /** Returns whether a user other than core uses the group or has attached it to a domain. */
    boolean busy() {
        synchronized (lock) {
            return ownerCount != 0 || current != defaultDomain || !resets.isEmpty();
        }
    }

    /**
     * Blocks the devices and frees the domains that core allocated for the group, whatever fails. The group must not be
     * {@link #busy()}.
     *
     * @return the earlier failure, or the first of this group's
     */
    @Nullable
    RuntimeException stop(@Nullable RuntimeException earlier) {
        synchronized (lock) {
            IommuDomain last = defaultDomain;
            if (last == null) {
                return earlier;
            }
            RuntimeException failure = moves.leave(last, earlier);
            current = null;
            defaultDomain = null;
            failure = closed(last, cookieClosed(failure));
            if (blockingDomain != null) {
                failure = closed(blockingDomain, failure);
                blockingDomain = null;
            }
            return failure;
        }
    }

    /** Allocates a default domain with its direct mappings. Source: {@code iommu_create_device_direct_mappings}. */
    private IommuDomain newDefaultDomain(DefaultDomainPolicy kind) {
        DomainType domainType = kind == DefaultDomainPolicy.PASSTHROUGH ? DomainType.IDENTITY : DomainType.DMA;
        IommuDomain domain = iommu().allocate(domainType, devices.get(0));
        try {
            if (domain.type().isPaging()) {
                devices.forEach(device -> ReservedRegions.mapDirect(domain, device));
            }
            return domain;
        } catch (RuntimeException failure) {
            domain.close();
            throw failure;
        }
    }

    private void replaceDefaultDomain(IommuDomain old, DefaultDomainPolicy wanted) {
        if (current != old) {
            throw new IommuException(Errno.EBUSY, this + " is not in its default domain");
        }
        IommuDomain next = newDefaultDomain(wanted);
        try {
            AttachResult result = moveTo(next);
            if (!result.attached()) {
                throw new IommuException(Errno.EINVAL, this + " can't be " + wanted + ": " + result.reason());
            }
        } catch (RuntimeException failure) {
            closed(next, failure);
            throw failure;
        }
        defaultDomain = next;
        type = deferrable(wanted);
        RuntimeException failure = closed(old, cookieClosed(null));
        if (failure != null) {
            throw failure;
        }
    }

    /**
     * Returns a lazy type as strict where flushes can't be deferred. Source: {@code iommu_dma_init_domain}.
     */
    private DefaultDomainPolicy deferrable(DefaultDomainPolicy wanted) {
        boolean strict = wanted == DefaultDomainPolicy.DMA_FQ
                && !rules().defersByTables()
                && !iommu().capable(devices.get(0), IommuCapability.DEFERRED_FLUSH);
        return strict ? DefaultDomainPolicy.DMA : wanted;
    }

    private @Nullable RuntimeException cookieClosed(@Nullable RuntimeException earlier) {
        DefaultDomainCookie kept = cookie;
        cookie = null;
        try {
            if (kept != null) {
                kept.close();
            }
            return earlier;
        } catch (RuntimeException thrown) {
            return GroupMoves.joined(earlier, thrown);
        }
    }

    private void takeOwnership(Object claimant) {
        if (requireCurrent() != defaultDomain) {
            throw new IommuException(Errno.EBUSY, "group " + id + " is not in its default domain");
        }
        requireNoReset();
        if (rules().claimBlocks()) {
            AttachResult result = moveTo(requireBlockingDomain());
            if (!result.attached()) {
                throw new IommuException(Errno.EINVAL, "group " + id + " can't be blocked: " + result.reason());
            }
        }
        owner = claimant;
        ownerCount = 1;
    }

    private void releaseOwnership() {
        if (owner == null) {
            throw new IommuException(Errno.EINVAL, "group " + id + " has no owner");
        }
        owner = null;
        ownerCount = 0;
        leaveFor(requireDefaultDomain());
    }

    private IommuDomain requireBlockingDomain() {
        IommuDomain blocking = blockingDomain;
        if (blocking == null) {
            blocking = allocateBlocking();
            blockingDomain = blocking;
        }
        return blocking;
    }

    /** Where the driver has no blocked domain, an empty one with page tables is used: it blocks too. */
    private IommuDomain allocateBlocking() {
        try {
            return iommu().allocate(DomainType.BLOCKED, devices.get(0));
        } catch (IommuException refusal) {
            if (refusal.errno() != Errno.EOPNOTSUPP) {
                throw refusal;
            }
            return iommu().allocate(DomainType.UNMANAGED, devices.get(0));
        }
    }

    private AttachResult moveTo(IommuDomain target) {
        requireNoReset();
        AttachResult result = moves.moveAll(requireCurrent(), target, blocks(target));
        if (result.attached()) {
            current = target;
        }
        return result;
    }

    private void leaveFor(IommuDomain target) {
        IommuDomain old = requireCurrent();
        current = target;
        moves.moveAllWhateverHappens(old, target, blocks(target), resets.keySet());
    }

    /** A domain with page tables blocks too, where the driver has no other. */
    private boolean blocks(IommuDomain domain) {
        return domain.type() == DomainType.BLOCKED || domain == blockingDomain;
    }

    private IommuDomain coreDomain() {
        IommuDomain blocking = blockingDomain;
        return owner != null && blocking != null && rules().claimBlocks() ? blocking : requireDefaultDomain();
    }

    private static @Nullable RuntimeException closed(IommuDomain domain, @Nullable RuntimeException earlier) {
        try {
            domain.close();
            return earlier;
        } catch (RuntimeException thrown) {
            return GroupMoves.joined(earlier, thrown);
        }
    }

    private IommuDomain requireDefaultDomain() {
        if (defaultDomain == null) {
            throw new IommuException(Errno.EPROBE_DEFER, "group " + id + " has no default domain: core is closed");
        }
        return defaultDomain;
    }

    private IommuDomain requireCurrent() {
        requireDefaultDomain();
        if (current == null) {
            throw new IllegalStateException("group " + id + " has a default domain but is in no domain");
        }
        return current;
    }

    private CoreRules rules() {
        return CoreRules.of(iommu().release());
    }

    private void requireNoReset() {
        if (!resets.isEmpty()) {
            throw new IommuException(Errno.EBUSY, "a device of group " + id + " is being reset");
        }
    }

    private static Object requireOwner(@Nullable Object candidate) {
        if (candidate == null) {
            throw new IommuException(Errno.EINVAL, "a group can't be claimed without an owner");
        }
        return candidate;
    }

    private void requireMember(IommuDevice device) {
        if (!devices.contains(device)) {
            throw new IommuException(Errno.ENODEV, device.id() + " is not in group " + id);
        }
    }

    private void requireOnlyMember(IommuDevice device) {
        requireMember(device);
        if (devices.size() != 1) {
            throw new IommuException(
                    Errno.EINVAL,
                    device.id() + " shares " + this + ", expected a group of one device: attach the group");
        }
    }
}
