// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Supplier;
import org.iommu4j.AttachResult;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.Prot;
import org.iommu4j.core.IommuCore;
import org.iommu4j.core.IommuGroup;
import org.iommu4j.core.IommuMapper;
import org.iommu4j.device.DeviceId;
import org.iommu4j.dma.DmaApi;
import org.iommu4j.dma.DmaDevice;
import org.iommu4j.kvm.KvmOptions;
import org.iommu4j.kvm.Vcpu;
import org.iommu4j.kvm.VirtualMachine;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.platform.Processor;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.UserProcess;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.verdict.Owner;
import org.iommu4j.vfio.Vfio;
import org.iommu4j.vfio.VfioGroup;
import org.iommu4j.vfio.VfioOptions;
import org.jspecify.annotations.Nullable;

/**
 * A machine with its IOMMU drivers, core and VFIO, on which a case acts.
 *
 * <p>The same page of a guest has three addresses, always different: {@link #GUEST_ADDRESS} in the guest, {@link #IOVA}
 * for the device, and wherever the VMM's memory at {@link #VMM_ADDRESS} is physically.
 */
public final class Scenario {
    /** Where guest memory begins for the guest. */
    public static final long GUEST_ADDRESS = 0x0010_0000L;

    /** Where it begins for the device. */
    public static final long IOVA = 0x4000_0000L;

    /** Where it begins in the VMM's address space. */
    public static final long VMM_ADDRESS = 0x7f00_0000_0000L;

    /** Pages of guest memory. */
    static final int GUEST_PAGES = 16;

    private static final int PAGE = 4096;

    /** Bytes of guest memory. */
    public static final long GUEST_BYTES = GUEST_PAGES * (long) PAGE;

    private final Machine machine;
    private final IommuCore core;
    private final Vfio vfio;
    private final Kernel kernel;
    private final PciAddress device;
    private final Optional<PciAddress> secondDevice;
    private final Wiring wiring;
    private final List<Processor> processors;

    /** Owners by initiator and by the first event for which they apply; any other initiator belongs to the host. */
    private final Map<String, NavigableMap<Integer, Owner>> owners = new TreeMap<>();

    private final Set<DeviceId> onVfio = new TreeSet<>();
    private int guests;
    private @Nullable Supplier<Decision> decision;
    private Supplier<List<DomainOutcome>> domains = List::of;

    Scenario(
            Machine machine,
            IommuCore core,
            Kernel kernel,
            PciAddress device,
            Optional<PciAddress> secondDevice,
            Wiring wiring) {
        this.machine = machine;
        this.core = core;
        this.vfio = new Vfio(
                core,
                VfioOptions.DEFAULT
                        .withRelease(kernel.release())
                        .withAllowUnsafeInterrupts(kernel.allowUnsafeInterrupts()));
        this.kernel = kernel;
        this.device = device;
        this.secondDevice = secondDevice;
        this.wiring = wiring;
        this.processors = machine.processors().stream().map(wiring::processor).toList();
    }

    /** Returns the machine. */
    public Machine machine() {
        return machine;
    }

    /** Returns core. */
    public IommuCore core() {
        return core;
    }

    /** Returns VFIO. */
    public Vfio vfio() {
        return vfio;
    }

    /** Returns the release whose rules apply. */
    public LinuxRelease release() {
        return kernel.release();
    }

    /** Returns the case's device. */
    public PciAddress device() {
        return device;
    }

    /**
     * Returns the second device.
     *
     * @throws IllegalStateException when there is none; a case that needs one declares it
     */
    public PciAddress secondDevice() {
        return secondDevice.orElseThrow(() -> new IllegalStateException("the case has no second device"));
    }

    /**
     * Assigns a device to a new virtual machine as a VMM does: VFIO decides, and the group is added to KVM.
     *
     * @throws NotApplicableException NEEDS_KVM_X86 when the machine's CPUs run no guests
     */
    public AssignedGuest assign(PciAddress address) {
        return new AssignedGuest(this, address);
    }

    /**
     * Assigns a device to a new virtual machine as a careless VMM would: without enforcement, and unknown to KVM.
     *
     * @return the device in the guest's hands, no-snoop enabled
     * @throws NotApplicableException NEEDS_KVM_X86 when the machine's CPUs run no guests
     */
    public GuestDevice assignUnreported(PciAddress address) {
        Owner owner = newGuest();
        IommuGroup group = groupOf(address);
        group.claimDmaOwner(this);
        IommuDomain domain = newDomain(address);
        AttachResult result = group.attach(domain);
        if (!result.attached()) {
            throw new IommuException(Errno.EINVAL, address + " can't use a domain of its own: " + result.reason());
        }
        UserProcess vmm = newGuestMemory();
        long[] frame = new long[1];
        for (long offset = 0; offset < GUEST_BYTES; offset += PAGE) {
            vmm.pin(VMM_ADDRESS + offset, 1, true, frame);
            IommuMapper.map(domain, IOVA + offset, frame[0], PAGE, Prot.READ_WRITE | Prot.CACHE);
        }
        VirtualMachine vm = newMachine(vmm);
        GuestCpu cpu = newGuestCpu(vm, owner);
        owns(owner, address.toString());
        decides(
                () -> Decision.of(Enforcement.NOT_ASKED, null, vm),
                () -> List.of(new DomainOutcome(List.of(address), Enforcement.NOT_ASKED)));
        cpu.enter();
        Endpoint endpoint = machine.endpoint(address);
        return new GuestDevice(cpu, endpoint, endpoint.config(), GUEST_ADDRESS, IOVA);
    }

    /** Binds a kernel driver that uses the DMA API on the device's default domain. It needs no KVM. */
    public HostDriver bindHostDriver(PciAddress address) {
        DmaDevice dma = new DmaApi(core, machine.memory(0), machine.frames()).bind(address);
        decides(
                () -> new Decision(Enforcement.NOT_ASKED, null, null, null, null),
                () -> List.of(new DomainOutcome(List.of(address), Enforcement.NOT_ASKED)));
        return new HostDriver(machine, machine.endpoint(address), dma);
    }

    /** Makes a domain of a kernel user's own and moves a device to it from its default domain. */
    public SharedDomain shareDomain(PciAddress first) {
        return new SharedDomain(this, first);
    }

    /** Puts a remark into the timeline. */
    public void note(String text) {
        machine.trace().note(text);
    }

    /** Returns the wiring between this scenario's parts. */
    Wiring wiring() {
        return wiring;
    }

    /** Returns the CPUs that virtual machines may use. */
    List<Processor> processors() {
        return processors;
    }

    /**
     * Makes an owner of the next virtual machine.
     *
     * @throws NotApplicableException NEEDS_KVM_X86 when the machine's CPUs run no guests
     */
    Owner newGuest() {
        if (processors.get(0).virtualization() == HardwareVirtualization.NONE) {
            throw new NotApplicableException(
                    NotApplicable.NEEDS_KVM_X86, "the machine's CPUs have neither VMX nor SVM, so they run no guests");
        }
        return Owner.guest("vm" + guests++);
    }

    /** Makes a virtual machine whose memory is a VMM's. */
    VirtualMachine newMachine(UserProcess vmm) {
        VirtualMachine vm = new VirtualMachine(vmm, processors, KvmOptions.DEFAULT.withRelease(release()));
        vm.addMemory(0, GUEST_ADDRESS, GUEST_BYTES, VMM_ADDRESS);
        return vm;
    }

    /**
     * Makes a virtual machine's vCPU, on another CPU than the host's. The first machine's is {@code vcpu0} to people.
     */
    GuestCpu newGuestCpu(VirtualMachine vm, Owner owner) {
        Vcpu vcpu = vm.createVcpu(processors.get(1 % processors.size()));
        String label = (guests == 1 ? "" : owner.name() + ".") + "vcpu" + vcpu.id();
        owns(owner, label);
        return new GuestCpu(machine.trace(), vcpu, label);
    }

    /** Sets the owner for whom an initiator of the trace acts from now on. */
    void owns(Owner owner, String who) {
        owners.computeIfAbsent(who, unused -> new TreeMap<>())
                .put(machine.trace().size(), owner);
    }

    /** Sets the source of the decisions, which is read when the case is over. */
    void decides(Supplier<Decision> newDecision, Supplier<List<DomainOutcome>> newDomains) {
        decision = newDecision;
        domains = newDomains;
    }

    /** Makes a VMM's process with guest memory at {@link #VMM_ADDRESS}. */
    UserProcess newGuestMemory() {
        UserProcess process = machine.newProcess(GUEST_PAGES, false);
        process.allocate(VMM_ADDRESS, GUEST_PAGES, true);
        return process;
    }

    /** Binds all functions of a device's group to VFIO, where they stay, and opens the group. */
    VfioGroup openGroup(PciAddress address) {
        IommuGroup group = groupOf(address);
        for (IommuDevice member : group.devices()) {
            if (!isBridge(member.id()) && onVfio.add(member.id())) {
                vfio.register(member.id());
            }
        }
        return vfio.openGroup(group.id());
    }

    /**
     * Returns a device's group.
     *
     * @throws IommuException ENODEV when no IOMMU translates for it
     */
    IommuGroup groupOf(PciAddress address) {
        return core.group(address)
                .orElseThrow(() -> new IommuException(Errno.ENODEV, "no IOMMU translates for " + address));
    }

    /**
     * Returns core's device.
     *
     * @throws IommuException ENODEV when no IOMMU translates for it
     */
    IommuDevice iommuDevice(PciAddress address) {
        return core.device(address)
                .orElseThrow(() -> new IommuException(Errno.ENODEV, "no IOMMU translates for " + address));
    }

    /** Makes a domain for a device, of its own driver. */
    IommuDomain newDomain(PciAddress address) {
        IommuDevice its = iommuDevice(address);
        return its.iommu().allocate(DomainType.UNMANAGED, its);
    }

    /** Returns whether a function is a bridge, which VFIO leaves to its own driver. */
    private boolean isBridge(DeviceId id) {
        Optional<PciFunction> at =
                id instanceof PciAddress pci ? machine.topology().function(pci) : Optional.empty();
        return at.isPresent() && at.get().config().isBridge();
    }

    /** Returns the owner for whom the initiator of an event acted. */
    Owner ownerOf(int event) {
        NavigableMap<Integer, Owner> known = owners.get(machine.trace().who(event));
        Map.Entry<Integer, Owner> since = known == null ? null : known.floorEntry(event);
        return since == null ? Owner.HOST : since.getValue();
    }

    @Nullable
    Decision decision() {
        return decision == null ? null : decision.get();
    }

    List<DomainOutcome> domains() {
        return domains.get();
    }
}
