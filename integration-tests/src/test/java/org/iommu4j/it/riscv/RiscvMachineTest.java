// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.riscv;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.Prot;
import org.iommu4j.core.DefaultDomainPolicy;
import org.iommu4j.core.IommuCore;
import org.iommu4j.dma.DmaApi;
import org.iommu4j.dma.DmaDevice;
import org.iommu4j.dma.DmaDirection;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.vfio.Vfio;
import org.iommu4j.vfio.VfioOptions;
import org.junit.jupiter.api.Test;

/** What Linux does with devices behind a RISC-V IOMMU. */
class RiscvMachineTest {
    private static final long BUFFER = 0x80_0000L;

    private final MachineFactory machines = MachineFactory.load();
    private final Machine machine = machines.create(machines.named("riscv"));
    private final Iommu iommu =
            IommuVendors.load().claiming(machine.firmware()).get(0).open(machine.vendorContext(LinuxRelease.NEWEST));
    private final Endpoint gpu = machine.endpoint(BuiltInTopology.GPU);

    private IommuCore core() {
        return IommuCore.open(List.of(iommu), machine.topology(), machine.namedDevices(), DefaultDomainPolicy.DMA);
    }

    @Test
    void theDmaApiMapsForAHostDriver() {
        IommuCore core = core();
        DmaDevice device = new DmaApi(core, machine.memory(0), machine.frames()).bind(BuiltInTopology.GPU);
        long page = machine.frames().allocate(0);
        long address = device.mapPage(page, DmaDirection.TO_DEVICE);
        machine.processors().get(0).store(page + 0x18, 0x1234, MemoryType.WB);

        assertThat(gpu.read(address + 0x18, false)).isEqualTo(0x1234);
        assertThat(gpu.write(address, 1, false)).as("to the device only").isFalse();
        device.unmap(address, 4096, DmaDirection.TO_DEVICE);
        device.close();
        assertThat(iommu.takeFaults()).singleElement().satisfies(fault -> {
            assertThat(fault.requester()).isEqualTo(BuiltInTopology.GPU);
            assertThat(fault.write()).isTrue();
        });
    }

    /** Linux's driver of 6.13 knows device trees only. */
    @Test
    void aMachineWithADeviceTreeHasADriverSince613() {
        LinuxRelease first = LinuxRelease.of("6.13");
        IommuVendors vendors = IommuVendors.load();
        assertThat(vendors.claiming(machine.firmware(), first)).isEmpty();
        Machine withTree = machines.create(machines.named("riscv-dt"));
        List<Iommu> drivers = vendors.open(withTree.vendorContext(first));
        assertThat(drivers)
                .singleElement()
                .satisfies(driver -> assertThat(driver.units()).containsExactly("riscv-iommu@40000000.iommu"));
        IommuCore core = IommuCore.open(drivers, withTree.topology(), withTree.namedDevices(), DefaultDomainPolicy.DMA);
        assertThat(core.group(withTree.namedDevices().iterator().next()))
                .as("of the device that is not on PCI")
                .isPresent();
        DmaDevice device = new DmaApi(core, withTree.memory(0), withTree.frames()).bind(BuiltInTopology.GPU);
        long page = withTree.frames().allocate(0);
        long address = device.mapPage(page, DmaDirection.FROM_DEVICE);
        Endpoint endpoint = withTree.endpoint(BuiltInTopology.GPU);
        assertThat(endpoint.write(address + 8, 0x5678, false)).isTrue();
        assertThat(withTree.memory(0).load(page + 8)).isEqualTo(0x5678);
        device.unmap(address, 4096, DmaDirection.FROM_DEVICE);
        assertThat(endpoint.write(address + 8, 1, false)).isFalse();
    }

    @Test
    void vfioRefusesEveryDevice() {
        Vfio vfio = new Vfio(core(), VfioOptions.DEFAULT);
        for (var address : List.of(BuiltInTopology.GPU, BuiltInTopology.SECOND_GPU)) {
            assertThatThrownBy(() -> vfio.register(address))
                    .isInstanceOfSatisfying(
                            IommuException.class,
                            refusal -> assertThat(refusal.errno()).isEqualTo(Errno.EINVAL));
        }
    }

    /** Nothing in the tables blocks no-snoop: a device that uses it reads what is in memory, not in a cache. */
    @Test
    void noSnoopPassesTheCachesAndNothingCanBlockIt() {
        IommuDevice device = iommu.probe(
                        machine.topology().function(BuiltInTopology.GPU).orElseThrow(),
                        BuiltInTopology.GPU.requesterId())
                .orElseThrow();
        IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device);
        domain.attach(device);
        domain.map(0x40000000L, BUFFER, 4096, 1, Prot.READ_WRITE | Prot.CACHE);
        domain.syncMap(0x40000000L, 4096);
        machine.processors().get(0).store(BUFFER, 0x1111, MemoryType.WB);

        assertThat(domain.cacheCoherencyEnforcement()).isEmpty();
        assertThat(gpu.read(0x40000000L, false)).as("snooped").isEqualTo(0x1111);
        machine.processors().get(0).store(BUFFER, 0x2222, MemoryType.WB);
        assertThat(gpu.read(0x40000000L, true)).as("no-snoop").isNotEqualTo(0x2222);
    }
}
