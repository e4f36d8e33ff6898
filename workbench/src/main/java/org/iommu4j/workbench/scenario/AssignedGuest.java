// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.kvm.KvmOptions;
import org.iommu4j.kvm.KvmVfioDevice;
import org.iommu4j.kvm.Vcpu;
import org.iommu4j.kvm.VirtualMachine;
import org.iommu4j.platform.PciAddress;
import org.iommu4j.sim.machine.UserProcess;
import org.iommu4j.vfio.VfioContainer;
import org.iommu4j.vfio.VfioExtension;
import org.iommu4j.vfio.VfioGroup;
import org.iommu4j.vfio.type1.DomainState;

/**
 * A virtual machine with devices assigned to it by VFIO, set up as a VMM does.
 *
 * <p>Order: the group enters the container, the container gets its IOMMU (which decides about no-snoop), guest memory is
 * mapped, KVM is told of the group, the device is opened.
 */
public final class AssignedGuest {
    private static final int BUFFER_BYTES = 4096;

    private final Scenario scenario;
    private final VfioContainer container;
    private final KvmVfioDevice kvmVfio;
    private final VirtualMachine vm;
    private final Vcpu vcpu;
    private final List<VfioGroup> groups = new ArrayList<>();

    AssignedGuest(Scenario scenario, PciAddress first) {
        this.scenario = scenario;
        UserProcess vmm = scenario.newGuestMemory();
        container = scenario.vfio().openContainer(vmm);
        VfioGroup group = scenario.openGroup(first);
        groups.add(group);
        group.setContainer(container);
        container.setIommu(VfioExtension.TYPE1V2_IOMMU);
        container.map(
                Scenario.IOVA,
                Scenario.VMM_ADDRESS,
                Scenario.GUEST_BYTES,
                VfioContainer.MAP_READ | VfioContainer.MAP_WRITE);
        vm = new VirtualMachine(vmm, scenario.processors(), KvmOptions.DEFAULT.withRelease(scenario.release()));
        vm.addMemory(0, Scenario.GUEST_ADDRESS, Scenario.GUEST_BYTES, Scenario.VMM_ADDRESS);
        vcpu = vm.createVcpu(scenario.vcpuProcessor());
        kvmVfio = vm.createVfioDevice();
        scenario.decides(this::decision, this::domains);
        tellKvm(group);
        group.openDevice(first);
    }

    /** Adds a second device, with its group, to the container that the first is in. */
    public void add(PciAddress second) {
        VfioGroup group = scenario.openGroup(second);
        groups.add(group);
        group.setContainer(container);
        tellKvm(group);
        group.openDevice(second);
    }

    /**
     * Returns an assigned device with a buffer page of its own.
     *
     * @param page 0 to the pages of guest memory
     */
    public GuestDevice device(PciAddress address, int page) {
        long guestAddress = Scenario.GUEST_ADDRESS + (long) page * BUFFER_BYTES;
        long iova = Scenario.IOVA + (long) page * BUFFER_BYTES;
        scenario.note("buffer of " + address + ": GPA 0x" + Long.toHexString(guestAddress) + " for the guest, IOVA 0x"
                + Long.toHexString(iova) + " for the device, HPA 0x" + Long.toHexString(vm.translate(guestAddress))
                + " in memory");
        GuestDevice device = new GuestDevice(
                scenario.machine().trace(), vcpu, scenario.machine().endpoint(address), guestAddress, iova);
        device.enableNoSnoop(true);
        return device;
    }

    /** Returns the virtual machine. */
    public VirtualMachine vm() {
        return vm;
    }

    /** Returns the container. */
    public VfioContainer container() {
        return container;
    }

    private void tellKvm(VfioGroup group) {
        if (!scenario.wiring().tellsKvm(group)) {
            return;
        }
        kvmVfio.addFile(group);
        scenario.note("KVM is told of group " + group.id() + ": "
                + (group.enforcedCoherent() ? "coherent" : "not coherent, WBINVD will be executed"));
    }

    private Decision decision() {
        Enforcement enforcement = Enforcement.NOT_ASKED;
        for (DomainState state : container.domains()) {
            if (state.devices().contains(scenario.device())) {
                enforcement = Enforcement.valueOf(state.enforcement().name());
            }
        }
        return new Decision(
                enforcement,
                container.checkExtension(VfioExtension.DMA_CC_IOMMU) == 1,
                vm.noncoherentDma(),
                vm.needEmulateWbinvd() ? Wbinvd.EXECUTED : Wbinvd.NOP,
                vm.guestMemoryType());
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
