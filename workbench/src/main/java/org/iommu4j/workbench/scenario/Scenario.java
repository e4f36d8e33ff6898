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
import org.iommu4j.core.IommuCore;
import org.iommu4j.core.IommuGroup;
import org.iommu4j.device.DeviceId;
import org.iommu4j.kvm.KvmOptions;
import org.iommu4j.kvm.VirtualMachine;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.platform.ProcessMemory;
import org.iommu4j.platform.Processor;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.UserProcess;
import org.iommu4j.sim.verdict.Owner;
import org.iommu4j.vfio.Vfio;
import org.iommu4j.vfio.VfioDevice;
import org.iommu4j.vfio.VfioGroup;
import org.iommu4j.vfio.VfioOptions;
import org.iommu4j.vfio.iommufd.Iommufd;
import org.iommu4j.vfio.iommufd.IommufdOptions;
import org.iommu4j.vfio.iommufd.IommufdUser;
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
    public static final int GUEST_PAGES = 16;

    /** The first release with iommufd. */
    private static final LinuxRelease FIRST_IOMMUFD = new LinuxRelease(6, 2);

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

    private final Map<DeviceId, VfioDevice> onVfio = new TreeMap<>();
    private final Set<DeviceId> notOnVfio = new TreeSet<>();
    private int guests;
    private @Nullable Supplier<Decision> decision;
    private Supplier<List<DecisionStep.Made>> path = List::of;
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

    /** Puts a remark into the timeline. */
    public void note(String text) {
        machine.trace().note(text);
    }

    /** Returns the wiring between this scenario's parts. */
    Wiring wiring() {
        return wiring;
    }

    /** Returns the CPUs, as virtual machines and the host use them. */
    public List<Processor> processors() {
        return processors;
    }

    /** Returns how many virtual machines were made before, and counts one more. */
    int countGuest() {
        return guests++;
    }

    /**
     * Makes the owner of a virtual machine.
     *
     * @throws NotApplicableException NEEDS_KVM_X86 when the machine's CPUs run no guests
     */
    Owner newOwner(String name) {
        if (processors.get(0).virtualization() == HardwareVirtualization.NONE) {
            throw new NotApplicableException(
                    NotApplicable.NEEDS_KVM_X86, "the machine's CPUs have neither VMX nor SVM, so they run no guests");
        }
        return Owner.guest(name);
    }

    /** Makes a virtual machine whose memory is a VMM's. */
    VirtualMachine newMachine(UserProcess vmm) {
        VirtualMachine vm = new VirtualMachine(vmm, processors, KvmOptions.DEFAULT.withRelease(release()));
        vm.addMemory(0, GUEST_ADDRESS, GUEST_BYTES, VMM_ADDRESS);
        return vm;
    }

    /** Sets the owner for whom an initiator of the trace acts from now on. */
    public void owns(Owner owner, String who) {
        owners.computeIfAbsent(who, unused -> new TreeMap<>())
                .put(machine.trace().size(), owner);
    }

    /** Sets the source of the decisions, which is read when the case is over. */
    public void decides(
            Supplier<Decision> newDecision,
            Supplier<List<DecisionStep.Made>> newPath,
            Supplier<List<DomainOutcome>> newDomains) {
        decision = newDecision;
        path = newPath;
        domains = newDomains;
    }

    /** Makes a VMM's process with guest memory at {@link #VMM_ADDRESS}. */
    UserProcess newGuestMemory() {
        UserProcess process = machine.newProcess(2L * GUEST_PAGES, false);
        process.allocate(VMM_ADDRESS, GUEST_PAGES, true);
        return process;
    }

    /** Keeps a function from {@link #openGroup}: it has no driver, or one that is not VFIO's. */
    public void keepFromVfio(PciAddress address) {
        notOnVfio.add(address);
    }

    /** Binds all functions of a device's group to VFIO, where they stay, and opens the group. */
    VfioGroup openGroup(PciAddress address) {
        IommuGroup group = groupOf(address);
        for (IommuDevice member : group.devices()) {
            if (!isBridge(member.id()) && !notOnVfio.contains(member.id())) {
                bindToVfio(member.id());
            }
        }
        return vfio.openGroup(group.id());
    }

    /** Binds a function to VFIO, where it stays. */
    public VfioDevice bindToVfio(DeviceId id) {
        return onVfio.computeIfAbsent(id, vfio::register);
    }

    /**
     * Opens an iommufd.
     *
     * @throws NotApplicableException RELEASE_LACKS when the release has none of this kind
     */
    Iommufd openIommufd(ProcessMemory vmm, AssignedBy by) {
        boolean has = release().compareTo(FIRST_IOMMUFD) >= 0
                && (by == AssignedBy.COMPAT || Iommufd.hasDeviceFiles(release()));
        if (!has) {
            throw new NotApplicableException(
                    NotApplicable.RELEASE_LACKS,
                    "Linux " + release() + " has no iommufd" + (by == AssignedBy.IOMMUFD ? " with device files" : ""));
        }
        IommufdOptions options =
                IommufdOptions.DEFAULT.withRelease(release()).withAllowUnsafeInterrupts(kernel.allowUnsafeInterrupts());
        IommufdUser user = IommufdUser.root(vmm);
        return by == AssignedBy.IOMMUFD ? Iommufd.open(options, user) : Iommufd.openVfioContainer(options, user);
    }

    /**
     * Returns a device's group.
     *
     * @throws IommuException ENODEV when no IOMMU translates for it
     */
    public IommuGroup groupOf(PciAddress address) {
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
    public IommuDomain newDomain(PciAddress address) {
        IommuDevice its = iommuDevice(address);
        return its.iommu().allocate(DomainType.UNMANAGED, its);
    }

    /**
     * Moves a device's group from its default domain, or from a blocked state, to a domain.
     *
     * @throws IommuException EINVAL when they do not fit; and as {@link IommuGroup#attach}
     */
    public void attach(PciAddress address, IommuDomain domain) {
        AttachResult result = groupOf(address).attach(domain);
        if (!result.attached()) {
            throw new IommuException(Errno.EINVAL, address + " can't join the domain: " + result.reason());
        }
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

    List<DecisionStep.Made> path() {
        return path.get();
    }

    List<DomainOutcome> domains() {
        return domains.get();
    }
}
