// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.iommu4j.kvm.KvmVfioDevice;
import org.iommu4j.kvm.VirtualMachine;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.sim.machine.UserProcess;
import org.iommu4j.sim.verdict.Owner;
import org.iommu4j.vfio.VfioContainer;
import org.iommu4j.vfio.VfioDevice;
import org.iommu4j.vfio.VfioExtension;
import org.iommu4j.vfio.VfioGroup;
import org.iommu4j.vfio.type1.DomainState;

/**
 * A virtual machine with devices assigned to it by VFIO, set up as a VMM does.
 *
 * <p>Order: the group enters the container, the container gets its IOMMU (which decides about no-snoop), guest memory
 * is mapped, the group is added to KVM, the device is opened, the vCPU enters the guest.
 */
public final class AssignedGuest implements AutoCloseable {
    private static final int BUFFER_BYTES = 4096;

    private final Scenario scenario;
    private final Owner owner;
    private final UserProcess vmm;
    private final VfioContainer container;
    private final KvmVfioDevice kvmVfio;
    private final VirtualMachine vm;
    private final GuestCpu cpu;
    private final Map<VfioDevice, VfioGroup> devices = new LinkedHashMap<>();

    AssignedGuest(Scenario scenario, PciAddress first) {
        this.scenario = scenario;
        owner = scenario.newGuest();
        vmm = scenario.newGuestMemory();
        container = scenario.vfio().openContainer(vmm);
        VfioGroup group = scenario.openGroup(first);
        group.setContainer(container);
        container.setIommu(VfioExtension.TYPE1V2_IOMMU);
        container.map(
                Scenario.IOVA,
                Scenario.VMM_ADDRESS,
                Scenario.GUEST_BYTES,
                VfioContainer.MAP_READ | VfioContainer.MAP_WRITE);
        vm = scenario.newMachine(vmm);
        cpu = scenario.newGuestCpu(vm, owner);
        kvmVfio = vm.createVfioDevice();
        scenario.decides(this::decision, this::domains);
        open(group, first);
    }

    /** Adds a second device, with its group, to the container that the first is in. */
    public void add(PciAddress second) {
        VfioGroup group = scenario.openGroup(second);
        group.setContainer(container);
        open(group, second);
    }

    private void open(VfioGroup group, PciAddress address) {
        if (scenario.wiring().addsToKvm(group)) {
            kvmVfio.addFile(group);
            scenario.note("group " + group.id() + " is added to KVM: "
                    + (group.enforcedCoherent() ? "coherent" : "not coherent, WBINVD will be executed"));
        }
        devices.put(group.openDevice(address), group);
        scenario.owns(owner, address.toString());
    }

    /**
     * Returns an assigned device with a buffer page of its own. The guest runs from here on, if it did not before.
     *
     * @param page 0 to the pages of guest memory
     */
    public GuestDevice device(PciAddress address, int page) {
        cpu.enterOnce();
        long guestAddress = Scenario.GUEST_ADDRESS + (long) page * BUFFER_BYTES;
        long iova = Scenario.IOVA + (long) page * BUFFER_BYTES;
        scenario.note("buffer of " + address + ": GPA 0x" + Long.toHexString(guestAddress) + " for the guest, IOVA 0x"
                + Long.toHexString(iova) + " for the device, HPA 0x" + Long.toHexString(vm.translate(guestAddress))
                + " in memory");
        return new GuestDevice(
                cpu, scenario.machine().endpoint(address), assigned(address).config(), guestAddress, iova);
    }

    private VfioDevice assigned(PciAddress address) {
        for (VfioDevice device : devices.keySet()) {
            if (device.id().equals(address)) {
                return device;
            }
        }
        throw new IllegalArgumentException("the guest has no device " + address);
    }

    /** The vCPU enters the guest again, on the CPU where it is, after an exit to the VMM. */
    public void enter() {
        cpu.enter();
    }

    /**
     * The host's scheduler moves the vCPU while it is in the guest.
     *
     * @param target the number of the CPU
     */
    public void moveTo(int target) {
        cpu.moveTo(scenario.processors().get(target));
    }

    /** Returns the virtual machine. */
    public VirtualMachine vm() {
        return vm;
    }

    /** Returns the container. */
    public VfioContainer container() {
        return container;
    }

    /** Ends the virtual machine: its devices and its memory go back to the host, as they are. */
    @Override
    public void close() {
        kvmVfio.close();
        vm.close();
        devices.forEach((device, group) -> {
            group.closeDevice(device);
            group.close();
            scenario.owns(Owner.HOST, device.id().toString());
        });
        devices.clear();
        container.close();
        vmm.free(Scenario.VMM_ADDRESS, Scenario.GUEST_PAGES);
    }

    private Decision decision() {
        Enforcement enforcement = Enforcement.NOT_ASKED;
        for (DomainState state : container.domains()) {
            if (state.devices().contains(scenario.device())) {
                enforcement = Enforcement.valueOf(state.enforcement().name());
            }
        }
        return Decision.of(enforcement, container.checkExtension(VfioExtension.DMA_CC_IOMMU) == 1, vm);
    }

    private List<DomainOutcome> domains() {
        List<DomainOutcome> outcomes = new ArrayList<>();
        for (DomainState state : container.domains()) {
            outcomes.add(new DomainOutcome(
                    state.devices(), Enforcement.valueOf(state.enforcement().name())));
        }
        return outcomes;
    }
}
