// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.iommu4j.DecisionSource;
import org.iommu4j.IommuDomain;
import org.iommu4j.kvm.KvmVfioDevice;
import org.iommu4j.kvm.VirtualMachine;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.sim.machine.UserProcess;
import org.iommu4j.sim.verdict.Owner;
import org.iommu4j.vfio.VfioFile;
import org.iommu4j.vfio.VfioGroup;
import org.iommu4j.workbench.vmm.GuestFirstStage;
import org.jspecify.annotations.Nullable;

/**
 * A virtual machine with devices assigned to it, and its VMM.
 *
 * <p>A VMM's order for a device: {@link #attach} (the device's DMA is translated; here no-snoop is decided about),
 * {@link #tellKvm}, {@link #open}. {@link #hotAdd} does all three, {@link #hotRemove} the reverse.
 */
public final class AssignedGuest implements AutoCloseable {
    private static final int PAGE = 4096;

    private final Scenario scenario;
    private final Owner owner;
    private final UserProcess vmm;
    private final Assignment assignment;

    /** What the guest's own IOMMU offers, null where it has none. */
    private final @Nullable GuestIommu iommu;

    /** The guest's table; one that its own IOMMU walks, where it has that. */
    private final GuestFirstStage table =
            new GuestFirstStage(Scenario.GUEST_ADDRESS + (long) (Scenario.GUEST_PAGES - GuestIommu.TABLE_PAGES) * PAGE);

    private final VirtualMachine vm;
    private final KvmVfioDevice kvmVfio;
    private final List<GuestCpu> cpus = new ArrayList<>();
    private final List<PciAddress> devices = new ArrayList<>();

    /** What KVM was told when a device's file was added. */
    private final Map<PciAddress, DecisionStep.Made> told = new LinkedHashMap<>();

    /**
     * Assigns a device to a new virtual machine as a VMM does: VFIO decides, and the group is added to KVM.
     *
     * @throws NotApplicableException NEEDS_KVM_X86 when the machine's CPUs run no guests
     */
    public static AssignedGuest assign(Scenario scenario, PciAddress address) {
        int before = scenario.countGuest();
        Owner owner = scenario.newOwner("vm" + before);
        AssignedGuest guest = new AssignedGuest(scenario, owner, AssignedBy.TYPE1, null, address);
        // On another CPU than the host's. The first machine's is vcpu0 to people.
        guest.createCpu(
                (before == 0 ? "" : owner.name() + ".") + "vcpu0",
                1 % scenario.processors().size());
        scenario.decides(() -> guest.decision(scenario.device()), () -> guest.path(scenario.device()), guest::domains);
        guest.tellKvm(address);
        guest.open(address);
        return guest;
    }

    /**
     * Makes a virtual machine without vCPUs, of which KVM knows no device yet.
     *
     * @param name its name, which its data carry
     * @param iommu what the IOMMU that it is shown offers, null for none
     * @param first a device that is attached before the virtual machine is made, null for none
     * @throws NotApplicableException NEEDS_KVM_X86 when the machine's CPUs run no guests; RELEASE_LACKS when the
     * release has no such way
     */
    public static AssignedGuest create(
            Scenario scenario, String name, AssignedBy by, @Nullable GuestIommu iommu, @Nullable PciAddress first) {
        scenario.countGuest();
        return new AssignedGuest(scenario, scenario.newOwner(name), by, iommu, first);
    }

    /**
     * Makes one.
     *
     * @param first the device that is attached before the virtual machine is made, null for none
     */
    private AssignedGuest(
            Scenario scenario, Owner owner, AssignedBy by, @Nullable GuestIommu iommu, @Nullable PciAddress first) {
        this.scenario = scenario;
        this.iommu = iommu;
        this.owner = owner;
        vmm = scenario.newGuestMemory();
        assignment = switch (by) {
            case TYPE1 -> new Type1Assignment(scenario, vmm);
            case IOMMUFD -> new IommufdAssignment(scenario, vmm);
            case COMPAT -> new CompatAssignment(scenario, vmm);
            case BARE -> new BareAssignment(scenario, vmm);
        };
        assignment.map(dmaAddress(0), Scenario.VMM_ADDRESS, Scenario.GUEST_BYTES);
        if (first != null) {
            attach(first);
        }
        vm = scenario.newMachine(vmm);
        kvmVfio = vm.createVfioDevice();
    }

    /**
     * Makes a vCPU on a CPU.
     *
     * @param label how the trace names it
     * @param cpu the CPU's number
     */
    public GuestCpu createCpu(String label, int cpu) {
        scenario.owns(owner, label);
        GuestCpu made = new GuestCpu(
                scenario.machine().trace(), vm.createVcpu(scenario.processors().get(cpu)), label);
        cpus.add(made);
        return made;
    }

    /** Has a device's DMA translated by the virtual machine's container, IOAS or domain. */
    public void attach(PciAddress device) {
        assignment.attach(device);
        belongsToGuest(device);
    }

    /** Attaches a device, or moves it, to a HWPT that {@link #allocateHwpt} made. */
    public void attachTo(String hwpt, PciAddress device) {
        assignment.attachTo(hwpt, device);
        belongsToGuest(device);
    }

    private void belongsToGuest(PciAddress device) {
        if (!devices.contains(device)) {
            devices.add(device);
            scenario.owns(owner, device.toString());
        }
    }

    /** Makes a HWPT for a device, which is bound for that. */
    public void allocateHwpt(String name, PciAddress device) {
        assignment.allocateHwpt(name, device);
    }

    /** Makes a HWPT for a device that can lie below the guest's table. */
    public void allocateParent(String name, PciAddress device) {
        assignment.allocateParent(name, device);
    }

    /** Makes a HWPT of the guest's table on a parent. */
    public void nest(String name, String parent, PciAddress device) {
        requireIommu();
        assignment.nest(name, parent, device, table.words());
    }

    /** The guest lets its devices reach a page, by a store of one of its CPUs to its table. */
    public void mapForDevices(GuestCpu cpu, long iova, long guestAddress) {
        requireIommu();
        scenario.note(cpu.label() + " lets its devices reach GPA 0x" + Long.toHexString(guestAddress) + " at 0x"
                + Long.toHexString(iova));
        table.map((at, value) -> cpu.store(at, value, MemoryType.WB), iova, guestAddress);
    }

    /**
     * A guest of this guest executes WBINVD. This guest's kernel is Linux as well: where its IOMMU offers snoop
     * control, its VFIO has that block no-snoop, and its KVM ignores WBINVD.
     */
    public void wbinvdOfInnerGuest(GuestCpu cpu) {
        cpu.wbinvdOfInnerGuest(requireIommu() == GuestIommu.SNOOP_CONTROL);
    }

    private GuestIommu requireIommu() {
        GuestIommu its = iommu;
        if (its == null) {
            throw new IllegalArgumentException("the guest has no IOMMU of its own");
        }
        return its;
    }

    /**
     * Returns where its memory is for the host's part of the translation of DMA: by guest-physical addresses when the
     * guest translates first.
     */
    private long dmaAddress(long offset) {
        return (iommu == null ? Scenario.IOVA : Scenario.GUEST_ADDRESS) + offset;
    }

    /** Ends the translation of a device, which goes back to the host. */
    public void detach(PciAddress device) {
        assignment.detach(device);
        devices.remove(device);
        scenario.owns(Owner.HOST, device.toString());
    }

    /** Adds a device's file to KVM, unless the way of assignment has none. */
    public void tellKvm(PciAddress device) {
        assignment.file(device).filter(scenario.wiring()::addsToKvm).ifPresent(file -> {
            kvmVfio.addFile(file);
            told.put(
                    device,
                    new DecisionStep.Made(
                            "what KVM was told of " + name(file, device),
                            file.enforcedCoherent() ? "coherent" : "not coherent",
                            file.coherencySources()));
            scenario.note(name(file, device) + " is added to KVM: "
                    + (file.enforcedCoherent() ? "coherent" : "not coherent, WBINVD will be executed"));
        });
    }

    /** Adds the file of a device's group to KVM before its DMA is translated. */
    public void tellKvmFirst(PciAddress device) {
        assignment.openFile(device);
        tellKvm(device);
    }

    /** Deletes a device's file from KVM. */
    public void untellKvm(PciAddress device) {
        assignment.file(device).ifPresent(file -> {
            kvmVfio.deleteFile(file);
            told.remove(device);
            scenario.note(name(file, device) + " is deleted from KVM, for which DMA is now "
                    + (vm.noncoherentDma() ? "not coherent" : "coherent"));
        });
    }

    private static String name(VfioFile file, PciAddress device) {
        return file instanceof VfioGroup group ? "group " + group.id() : "device " + device;
    }

    /** Opens a device. */
    public void open(PciAddress device) {
        assignment.open(device);
    }

    /** Closes a device. */
    public void close(PciAddress device) {
        assignment.close(device);
    }

    /** Attaches a device, tells KVM of it and opens it. */
    public void hotAdd(PciAddress device) {
        attach(device);
        tellKvm(device);
        open(device);
    }

    /** Closes a device, tells KVM and detaches it. */
    public void hotRemove(PciAddress device) {
        close(device);
        untellKvm(device);
        detach(device);
    }

    /** Adds a second device, with its group, to the container that the first is in. */
    public void add(PciAddress second) {
        hotAdd(second);
    }

    /**
     * Returns an assigned device with a buffer page of its own, in the hands of the first vCPU. That runs from here on,
     * if it did not before.
     *
     * @param page 0 to the pages of guest memory
     */
    public GuestDevice device(PciAddress address, int page) {
        if (!devices.contains(address)) {
            throw new IllegalArgumentException("the guest has no device " + address);
        }
        GuestCpu cpu = cpus.get(0);
        cpu.enterOnce();
        long guestAddress = Scenario.GUEST_ADDRESS + (long) page * PAGE;
        long iova = Scenario.IOVA + (long) page * PAGE;
        noteBuffer("buffer of " + address, page);
        return new GuestDevice(cpu, scenario.machine().endpoint(address), config(address), guestAddress, iova);
    }

    /** Puts the three addresses of a page of guest memory into the timeline. */
    public void noteBuffer(String name, int page) {
        long guestAddress = Scenario.GUEST_ADDRESS + (long) page * PAGE;
        long hostAddress = vm.translate(guestAddress);
        scenario.machine()
                .trace()
                .note(
                        name + ": GPA 0x" + Long.toHexString(guestAddress) + " for the guest, IOVA 0x"
                                + Long.toHexString(Scenario.IOVA + (long) page * PAGE) + " for the device, HPA 0x"
                                + Long.toHexString(hostAddress) + " in memory",
                        hostAddress);
    }

    /** Returns a device's configuration space as the guest has it. */
    public ConfigSpace config(PciAddress device) {
        return assignment.config(device);
    }

    /**
     * Gives the virtual machine a page that was another process', the next one after those that it has.
     *
     * @param from the process, which loses the page
     * @param address where it has it
     * @param page the number that the page gets, from {@link Scenario#GUEST_PAGES} on
     */
    public void takeOver(UserProcess from, long address, int page) {
        long frame = from.translate(address);
        from.free(address, 1);
        long offset = (long) page * PAGE;
        long taken = vmm.allocate(Scenario.VMM_ADDRESS + offset, 1, true);
        if (taken != frame) {
            throw new IllegalStateException("the VMM got another page than the one that was freed");
        }
        vm.addMemory(page, Scenario.GUEST_ADDRESS + offset, PAGE, Scenario.VMM_ADDRESS + offset);
        assignment.map(dmaAddress(offset), Scenario.VMM_ADDRESS + offset, PAGE);
    }

    /** The first vCPU enters the guest again, on the CPU where it is, after an exit to the VMM. */
    public void enter() {
        cpus.get(0).enter();
    }

    /**
     * The host's scheduler moves the first vCPU while it is in the guest.
     *
     * @param target the number of the CPU
     */
    public void moveTo(int target) {
        cpus.get(0).moveTo(scenario.processors().get(target));
    }

    /** Returns the virtual machine. */
    public VirtualMachine vm() {
        return vm;
    }

    /** Ends the virtual machine: its devices and its memory go back to the host, as they are. */
    @Override
    public void close() {
        kvmVfio.close();
        vm.close();
        devices.forEach(device -> scenario.owns(Owner.HOST, device.toString()));
        devices.clear();
        assignment.end();
        vmm.free(Scenario.VMM_ADDRESS, Scenario.GUEST_PAGES);
    }

    /** Returns what was decided about a device and this virtual machine. */
    public Decision decision(PciAddress device) {
        return Decision.of(enforcement(device), assignment.dmaCc(), vm);
    }

    private Enforcement enforcement(PciAddress device) {
        return domains().stream()
                .filter(domain -> domain.devices().contains(device))
                .map(DomainOutcome::enforceCacheCoherency)
                .findFirst()
                .orElse(Enforcement.NOT_ASKED);
    }

    /** Returns how it was decided: from the device's domain to the guest's memory. */
    public List<DecisionStep.Made> path(PciAddress device) {
        List<DecisionStep.Made> path = new ArrayList<>();
        Enforcement enforcement = enforcement(device);
        path.add(new DecisionStep.Made(
                "enforce_cache_coherency", enforcement.name(), enforcementSources(device, enforcement)));
        Boolean dmaCc = assignment.dmaCc();
        if (dmaCc != null) {
            path.add(new DecisionStep.Made(
                    "VFIO_DMA_CC_IOMMU",
                    dmaCc ? "1" : "0",
                    assignment.dmaCcSource().stream().toList()));
        }
        path.addAll(told.values());
        path.add(new DecisionStep.Made(
                "non-coherent DMA registered with KVM",
                Integer.toString(vm.noncoherentDmaCount()),
                List.of(kvmVfio.coherencySource())));
        if (vm.registrations() > 0) {
            path.add(new DecisionStep.Made(
                    "entries of touched pages when that changed",
                    vm.dropsEntriesWhenCoherencyChanges() ? "dropped" : "kept",
                    List.of(vm.entriesSource())));
        }
        path.add(new DecisionStep.Made(
                "guest's WBINVD", vm.needEmulateWbinvd() ? "EXECUTED" : "NOP", List.of(vm.wbinvdSource())));
        path.add(new DecisionStep.Made(
                "guest memory type", vm.guestMemoryType().toString(), List.of(vm.memoryTypeSource())));
        return path;
    }

    /** A domain that was not asked says nothing of itself, but where its driver blocks no-snoop unasked. */
    private List<DecisionSource> enforcementSources(PciAddress device, Enforcement enforcement) {
        List<DecisionSource> sources = new ArrayList<>();
        boolean attached = devices.contains(device);
        IommuDomain domain = attached ? scenario.groupOf(device).domain() : null;
        boolean asked = domain != null && domain.cacheCoherencyEnforcement().isPresent();
        if (asked && enforcement == Enforcement.NOT_ASKED) {
            assignment.askedBy().ifPresent(asker -> {
                sources.add(asker);
                scenario.iommuDevice(device)
                        .iommu()
                        .enforcementCapabilitySource()
                        .ifPresent(sources::add);
            });
        } else if (domain != null) {
            domain.enforcementSource().ifPresent(sources::add);
            assignment.askedBy().ifPresent(sources::add);
        }
        return sources;
    }

    /** Returns the domains of its devices. */
    public List<DomainOutcome> domains() {
        return assignment.domains();
    }
}
