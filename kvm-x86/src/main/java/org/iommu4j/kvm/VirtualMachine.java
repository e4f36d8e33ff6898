// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.kvm;

import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.iommu4j.DecisionSource;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.platform.ProcessMemory;
import org.iommu4j.platform.Processor;
import org.iommu4j.release.ReleaseRule;
import org.jspecify.annotations.Nullable;

/**
 * A virtual machine: memory slots, vCPUs, and whether a device's DMA may bypass the CPU caches.
 *
 * <p>Thread-safe, as a VM's file descriptor is. Source: {@code struct kvm}, {@code arch/x86/kvm/x86.c}.
 */
public final class VirtualMachine implements AutoCloseable {
    /** The type of the device that has VFIO files. Source: {@code KVM_DEV_TYPE_VFIO}. */
    public static final int DEVICE_TYPE_VFIO = 4;

    /** The flag of {@link #createDevice} that makes nothing. Source: {@code KVM_CREATE_DEVICE_TEST}. */
    public static final int CREATE_DEVICE_TEST = 1;

    private volatile KvmOptions options;
    private final KvmRules rules;
    private final List<Processor> processors;
    private final HardwareVirtualization virtualization;
    private final boolean selfSnoop;
    private final MemorySlots slots;
    private final AtomicInteger noncoherentDma = new AtomicInteger();
    private final AtomicLong registrations = new AtomicLong();
    private final AtomicLong wbinvdExecuted = new AtomicLong();
    private final AtomicLong wbinvdIgnored = new AtomicLong();
    private final AtomicInteger vcpus = new AtomicInteger();
    private volatile GuestMtrrs mtrrs = GuestMtrrs.WRITE_BACK;
    private volatile boolean closed;
    private @Nullable KvmVfioDevice vfioDevice;

    /**
     * Makes a machine without memory or vCPUs.
     *
     * @param process the VMM, whose address space holds the guest's memory
     * @param processors all CPUs of the host; each at the index that is its id
     * @param options the release, and the CPU's abilities
     * @throws IllegalArgumentException when no rules are built for the release, the processors do not form one host or
     *     have neither VMX nor SVM, or the options state SVM without WBINVD interception
     */
    public VirtualMachine(ProcessMemory process, List<? extends Processor> processors, KvmOptions options) {
        this(process, processors, options, KvmRules.of(options.release()));
    }

    /** Makes a machine under rules that need not be a known release's. */
    VirtualMachine(ProcessMemory process, List<? extends Processor> processors, KvmOptions options, KvmRules rules) {
        Objects.requireNonNull(process, "process");
        Objects.requireNonNull(processors, "processors");
        this.rules = rules;
        this.processors = List.copyOf(processors);
        this.virtualization = virtualizationOf(this.processors);
        this.selfSnoop = this.processors.stream().allMatch(Processor::selfSnoop);
        // A quirk that can't be turned off is on.
        this.options = has(KvmQuirk.IGNORE_GUEST_PAT) ? options : options.withIgnoreGuestPat(true);
        if (virtualization == HardwareVirtualization.SVM && !options.wbinvdExit()) {
            throw new IllegalArgumentException("SVM always intercepts WBINVD");
        }
        this.slots = new MemorySlots(process);
    }

    /** Returns the rules of its release. */
    KvmRules rules() {
        return rules;
    }

    /** Returns what KVM does differently from release to release. */
    public static List<ReleaseRule<?>> releaseRules() {
        return KvmRules.RULES;
    }

    private static HardwareVirtualization virtualizationOf(List<Processor> processors) {
        if (processors.isEmpty()) {
            throw new IllegalArgumentException("a host without processors");
        }
        HardwareVirtualization first = processors.get(0).virtualization();
        if (first == HardwareVirtualization.NONE) {
            throw new IllegalArgumentException("a host whose processors have neither VMX nor SVM");
        }
        for (int i = 0; i < processors.size(); i++) {
            Processor processor = processors.get(i);
            if (processor.id() != i || processor.virtualization() != first) {
                throw new IllegalArgumentException("processor " + processor.id() + " (" + processor.virtualization()
                        + ") at index " + i + " of a host with " + first);
            }
        }
        return first;
    }

    /**
     * Adds memory to the guest.
     *
     * @param id the slot's number, from 0
     * @param guestAddress guest physical address, bytes, 4 KiB aligned
     * @param size bytes, a multiple of 4096
     * @param virtualAddress its address in the VMM, 4 KiB aligned; the whole slot is below bit 63
     * @throws IommuException EEXIST when the range overlaps another slot; EINVAL when something is misaligned, empty or
     *     reaches bit 63, or the slot exists (KVM neither moves nor resizes one)
     */
    public void addMemory(int id, long guestAddress, long size, long virtualAddress) {
        checkOpen();
        slots.add(id, guestAddress, size, virtualAddress);
    }

    /**
     * Deletes a slot; the entries of all slots are dropped with it.
     *
     * @throws IommuException EINVAL when there is no such slot
     */
    public void removeMemory(int id) {
        checkOpen();
        slots.remove(id);
    }

    /**
     * Returns the host physical address of a guest physical one.
     *
     * @throws IommuException EFAULT when no slot contains it, or the VMM has no memory there
     */
    public long translate(long guestAddress) {
        return slots.translate(guestAddress);
    }

    /** Makes a vCPU and loads it on a CPU of this host. */
    public Vcpu createVcpu(Processor processor) {
        Objects.requireNonNull(processor, "processor");
        checkOpen();
        return new Vcpu(this, vcpus.getAndIncrement(), processor);
    }

    /**
     * KVM_CREATE_DEVICE: makes a device, or says whether it could.
     *
     * @param type {@link #DEVICE_TYPE_VFIO}, the only type on x86
     * @param flags {@link #CREATE_DEVICE_TEST}; other bits are ignored
     * @return the device; empty for a test, which is successful also when the machine has one
     * @throws IommuException ENODEV (another type), and as {@link #createVfioDevice}
     */
    public Optional<KvmVfioDevice> createDevice(int type, int flags) {
        checkOpen();
        if (type != DEVICE_TYPE_VFIO) {
            throw new IommuException(Errno.ENODEV, "no device of type " + type);
        }
        return (flags & CREATE_DEVICE_TEST) != 0 ? Optional.empty() : Optional.of(createVfioDevice());
    }

    /**
     * Makes the device to which a VMM adds its VFIO files.
     *
     * @throws IommuException EBUSY when the machine already has one; EBADF when it is closed
     */
    public synchronized KvmVfioDevice createVfioDevice() {
        checkOpen();
        if (vfioDevice != null) {
            throw new IommuException(Errno.EBUSY, "the machine already has a kvm-vfio device");
        }
        KvmVfioDevice device = new KvmVfioDevice(this);
        vfioDevice = device;
        return device;
    }

    /**
     * Returns whether the machine says that it can make devices: since 6.4 it does. Source: KVM_CHECK_EXTENSION of
     * KVM_CAP_DEVICE_CTRL.
     */
    public boolean answersDeviceControl() {
        checkOpen();
        return rules.machinesAnswerDeviceControl();
    }

    synchronized void forget(KvmVfioDevice device) {
        if (vfioDevice == device) {
            vfioDevice = null;
        }
    }

    /**
     * Registers one more source of DMA that may bypass the caches. Source: {@code kvm_arch_register_noncoherent_dma}.
     */
    void registerNoncoherentDma() {
        registrations.incrementAndGet();
        if (noncoherentDma.incrementAndGet() == 1) {
            coherencyChanged();
            if (rules.flushesOnRegistration()) {
                processors.forEach(this::writeBackAndInvalidate);
            }
        }
    }

    /** Unregisters one source. */
    void unregisterNoncoherentDma() {
        int left = noncoherentDma.decrementAndGet();
        if (left < 0) {
            throw new IllegalStateException("non-coherent DMA unregistered more often than registered");
        }
        if (left == 0) {
            coherencyChanged();
        }
    }

    private void coherencyChanged() {
        if (dropsEntriesWhenCoherencyChanges()) {
            slots.dropEntries();
        }
    }

    /** Returns whether a device's DMA may bypass the caches, by the files that the VMM added. */
    public boolean noncoherentDma() {
        return noncoherentDma.get() > 0;
    }

    /** Returns how often non-coherent DMA is registered. */
    public int noncoherentDmaCount() {
        return noncoherentDma.get();
    }

    /** Returns how often non-coherent DMA was registered so far, whether it still is or not. */
    public long registrations() {
        return registrations.get();
    }

    /** Returns whether a guest's WBINVD has to have an effect. Source: {@code need_emulate_wbinvd}. */
    public boolean needEmulateWbinvd() {
        return noncoherentDma();
    }

    /** Returns where Linux decides whether a guest's WBINVD has an effect; every release decides alike. */
    public DecisionSource wbinvdSource() {
        return DecisionSource.of(
                KvmRules.MODULE, options.wbinvdExit() ? "kvm_emulate_wbinvd_noskip" : "none, the CPU executes it");
    }

    /** Returns whether entries are dropped when DMA becomes non-coherent or coherent. */
    public boolean dropsEntriesWhenCoherencyChanges() {
        return rules.dropsEntriesWhenCoherencyChanges(virtualization, options);
    }

    /** Returns where Linux decides what {@link #dropsEntriesWhenCoherencyChanges} says. */
    public DecisionSource entriesSource() {
        return rules.entriesSource();
    }

    /** Returns where Linux decides what {@link #guestMemoryType()} says. */
    public DecisionSource memoryTypeSource() {
        return rules.memoryTypeSource(virtualization, noncoherentDma());
    }

    /**
     * Returns the type of a page of RAM that is now touched for the first time, by a vCPU with caching on. Where MTRRs
     * matter it is one in none of their ranges.
     *
     * <p>A page that was touched before keeps its type until all entries are dropped: see {@link
     * Vcpu#memoryTypeOf(long)}.
     */
    public GuestMemoryType guestMemoryType() {
        return freshType(mtrrs.defaultType(), false, false);
    }

    /**
     * Returns the type of a page that is now touched for the first time, by a vCPU with caching on.
     *
     * @param deviceMemory whether the page is device memory and not RAM
     */
    public GuestMemoryType guestMemoryType(boolean deviceMemory) {
        return freshType(mtrrs.defaultType(), deviceMemory, false);
    }

    /**
     * Sets the guest's MTRRs to one type for all memory. See {@link #setGuestMtrrs(GuestMtrrs)}.
     *
     * @throws IllegalArgumentException when the type is UC-
     */
    public void setGuestMtrrs(MemoryType type) {
        setGuestMtrrs(new GuestMtrrs(type, List.of()));
    }

    /**
     * Sets the guest's MTRRs, the same on all vCPUs as firmware does; initially all memory is write-back.
     *
     * <p>On VMX and up to 6.10 they are the types in the entries of guest memory while DMA is non-coherent. Otherwise
     * they have no effect.
     */
    public void setGuestMtrrs(GuestMtrrs changed) {
        mtrrs = Objects.requireNonNull(changed, "changed");
        if (rules.dropsEntriesWhenMtrrsChange(virtualization, noncoherentDma())) {
            slots.dropEntries();
        }
    }

    /**
     * Turns a quirk off for good. Under every release entries stay: pages that were touched keep their type.
     *
     * @throws IommuException EINVAL when the release or the CPU has no such quirk; EBADF when the machine is closed
     */
    public synchronized void disableQuirk(KvmQuirk quirk) {
        Objects.requireNonNull(quirk, "quirk");
        checkOpen();
        if (!has(quirk)) {
            throw new IommuException(Errno.EINVAL, "there is no quirk " + quirk);
        }
        boolean ignored = options.ignoreGuestPat();
        options = switch (quirk) {
            case CD_NW_CLEARED -> options.withCacheDisableIgnored(false);
            case IGNORE_GUEST_PAT -> options.withIgnoreGuestPat(false);
        };
        if (ignored && !options.ignoreGuestPat() && rules.dropsEntriesOnQuirkChange()) {
            slots.dropEntries();
        }
    }

    private boolean has(KvmQuirk quirk) {
        return rules.has(quirk, virtualization, selfSnoop);
    }

    boolean cachingOffReachesHardware() {
        return KvmRules.cachingOffReachesHardware(virtualization, options);
    }

    /** Returns the type of a page of RAM that a vCPU touches first now. */
    GuestMemoryType freshType(long guestAddress, boolean cachingOff) {
        return freshType(mtrrs.typeOf(guestAddress), false, cachingOff);
    }

    private GuestMemoryType freshType(MemoryType mtrr, boolean deviceMemory, boolean cachingOff) {
        return rules.guestMemoryType(virtualization, options, deviceMemory, noncoherentDma(), cachingOff, mtrr);
    }

    GuestMemoryType entryType(long guestAddress, MemorySlots.TypeOfPage fresh) {
        return slots.type(guestAddress, fresh);
    }

    /**
     * Returns the entry of a guest page in the second-stage table, to be restored later: 0 when there is none, else 1 +
     * the type's ordinal.
     *
     * @throws IommuException EFAULT when there is no memory
     */
    public int entryCode(long guestAddress) {
        return slots.code(guestAddress);
    }

    /**
     * Gives a guest page the entry that it had when {@link #entryCode} said so.
     *
     * @param code 0, or 1 + the type's ordinal
     * @throws IommuException EFAULT when there is no memory
     */
    public void restoreEntry(long guestAddress, int code) {
        slots.restore(guestAddress, code);
    }

    void cachingChanged() {
        if (rules.dropsEntriesWhenCachingChanges(virtualization, options, noncoherentDma())) {
            slots.dropEntries();
        }
    }

    /** Returns how often WBINVD ran on a CPU for this guest: for the guest's instruction, or because a vCPU moved. */
    public long wbinvdExecuted() {
        return wbinvdExecuted.get();
    }

    /** Returns how many of the guest's WBINVD were no-ops. */
    public long wbinvdIgnored() {
        return wbinvdIgnored.get();
    }

    KvmOptions options() {
        return options;
    }

    Processor processor(int id) {
        return processors.get(id);
    }

    int cpus() {
        return processors.size();
    }

    boolean isProcessor(Processor processor) {
        int id = processor.id();
        return id >= 0 && id < processors.size() && processors.get(id) == processor;
    }

    void writeBackAndInvalidate(Processor processor) {
        wbinvdExecuted.incrementAndGet();
        processor.wbinvd();
    }

    void ignoredWbinvd() {
        wbinvdIgnored.incrementAndGet();
    }

    /**
     * Closes the machine's file. Its vCPUs and its kvm-vfio device are files of their own and go on.
     *
     * <p>From then on calls that make something of the machine, or change its memory, are refused with EBADF. A
     * kvm-vfio device that was closed and has not ended before 6.2 ends now.
     *
     * @throws IommuException as {@link KvmVfioDevice#close}
     */
    @Override
    public void close() {
        KvmVfioDevice device;
        synchronized (this) {
            closed = true;
            device = vfioDevice;
        }
        if (device != null) {
            device.machineClosed();
        }
    }

    boolean isClosed() {
        return closed;
    }

    private void checkOpen() {
        if (closed) {
            throw new IommuException(Errno.EBADF, "the virtual machine is closed");
        }
    }
}
