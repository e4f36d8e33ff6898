// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.napot;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.iommu4j.DomainType;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.LinuxRelease;
import org.iommu4j.Prot;
import org.iommu4j.core.DefaultDomainPolicy;
import org.iommu4j.core.IommuCore;
import org.iommu4j.core.IommuGroup;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.platform.AcpiTable;
import org.iommu4j.platform.Architecture;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.pcie.PlatformMaster;
import org.iommu4j.sim.pcie.RequestStatus;
import org.iommu4j.sim.spi.CacheGeometry;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.PlatformDeviceDescription;
import org.iommu4j.sim.spi.ProcessorDescription;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.spi.TranslationUnitProvider;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.spi.BootOptions;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.spi.ShownUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * A vendor with named devices, wide source ids, NAPOT pages and a machine that is not x86's works with what there is.
 */
class NapotTest {
    private static final NamedDevice GPU = new NamedDevice("\\_SB.GPU0");
    private static final NamedDevice NIC = new NamedDevice("\\_SB.ETH0");
    private static final String UNIT = "napot@fed00000";
    private static final long BASE = 0xfed0_0000L;
    private static final int GPU_SOURCE = 0xabcdef;
    private static final int NIC_SOURCE = 0xabcdf0;
    private static final long LARGE_PAGE = 0x10000;

    /** The silicon as a machine finds it. */
    private static final class Provider implements TranslationUnitProvider {
        @Override
        public String name() {
            return "napot";
        }

        @Override
        public List<MachineDescription> machines() {
            return List.of(new MachineDescription(
                            "riscv-napot",
                            new ProcessorDescription(
                                    2, Architecture.RISCV64, HardwareVirtualization.NONE, CacheGeometry.LITMUS),
                            16L << 20,
                            List.of(new TranslationUnitSpec(name(), UNIT, 0, BASE, 4096, Map.of())),
                            List.of(),
                            Map.of(NapotVendor.SIGNATURE, table()),
                            BootOptions.DEFAULT)
                    .withPlatformDevices(List.of(
                            new PlatformDeviceDescription(GPU, Optional.of(UNIT), List.of(GPU_SOURCE), true),
                            new PlatformDeviceDescription(NIC, Optional.of(UNIT), List.of(NIC_SOURCE), true))));
        }

        @Override
        public Optional<TranslationUnitSpec> recognise(
                String name, Map<String, String> attributes, ShownUnit known, FirmwareTables firmware) {
            return Optional.empty();
        }

        @Override
        public TranslationUnit create(TranslationUnitSpec spec, Fabric fabric) {
            return new NapotUnit(spec, fabric);
        }
    }

    private final Provider provider = new Provider();
    private final Machine machine =
            new MachineFactory(List.of(provider)).create(provider.machines().get(0));
    private final PlatformMaster gpu = machine.master(GPU);
    private final PlatformMaster nic = machine.master(NIC);

    private static byte[] table() {
        ByteBuffer bytes =
                ByteBuffer.allocate(AcpiTable.HEADER_LENGTH + 8 + 2 * 24).order(ByteOrder.LITTLE_ENDIAN);
        bytes.put(NapotVendor.SIGNATURE.getBytes(StandardCharsets.US_ASCII)).putInt(bytes.capacity());
        bytes.position(AcpiTable.HEADER_LENGTH);
        bytes.putLong(BASE);
        for (Map.Entry<Integer, NamedDevice> device : List.of(Map.entry(GPU_SOURCE, GPU), Map.entry(NIC_SOURCE, NIC))) {
            byte[] name = device.getValue().name().getBytes(StandardCharsets.US_ASCII);
            bytes.putInt(device.getKey()).put(name).position(bytes.position() + 20 - name.length);
        }
        return bytes.array();
    }

    private Iommu open() {
        return IommuVendors.of(List.of(new NapotVendor()))
                .claiming(machine.firmware())
                .get(0)
                .open(machine.vendorContext(LinuxRelease.NEWEST));
    }

    @ParameterizedTest
    @ValueSource(longs = {4096, LARGE_PAGE})
    void aNamedDeviceReachesWhatIsMappedForItAndNothingElse(long pageSize) {
        Iommu iommu = open();
        IommuDevice device = iommu.probe(GPU).orElseThrow();
        IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device);
        long iova = 0x20000;
        long buffer = 0x80_0000;
        assertThat(gpu.write(iova, 1, 0)).as("before attaching").isFalse();
        assertThat(gpu.lastFault()).isEqualTo(NapotUnit.NO_DEVICE);

        assertThat(domain.attach(device).attached()).isTrue();
        domain.map(iova, buffer, pageSize, 2, Prot.READ_WRITE | Prot.CACHE);
        domain.syncMap(iova, 2 * pageSize);
        machine.processors().get(0).store(buffer + pageSize + 0x18, 0x1234, MemoryType.WB);
        long last = iova + 2 * pageSize - 8;

        assertThat(gpu.read(iova + pageSize + 0x18, 0))
                .as("what a processor stored")
                .isEqualTo(0x1234);
        assertThat(gpu.write(last, 0x5678, 0)).isTrue();
        assertThat(machine.processors().get(1).load(buffer + 2 * pageSize - 8, MemoryType.WB))
                .isEqualTo(0x5678);
        assertThat(domain.translate(last)).isEqualTo(buffer + 2 * pageSize - 8);
        assertThat(gpu.write(last + 8, 1, 0)).as("the byte behind").isFalse();
        assertThat(gpu.lastFault()).isEqualTo(NapotUnit.WRITE_FAULT);
        assertThat(nic.read(iova, 0)).as("another device").isEqualTo(-1L);
        assertThat(nic.lastFault()).isEqualTo(NapotUnit.NO_DEVICE);

        IotlbGather gather = new IotlbGather();
        assertThat(domain.unmap(iova, 2 * pageSize, gather)).isEqualTo(2 * pageSize);
        domain.sync(gather);
        gpu.read(iova, 0);
        assertThat(gpu.lastFault()).isEqualTo(NapotUnit.READ_FAULT);
    }

    @Test
    void coreGivesEachNamedDeviceAGroupAndADefaultDomainOfItsOwn() {
        IommuCore core =
                IommuCore.open(List.of(open()), machine.topology(), machine.namedDevices(), DefaultDomainPolicy.DMA);

        assertThat(core.groups()).extracting(IommuGroup::devices).hasSize(2).allMatch(devices -> devices.size() == 1);
        assertThat(core.device(GPU).orElseThrow().id()).isEqualTo(GPU);
        gpu.read(0x3000, 0);
        assertThat(gpu.lastStatus()).isEqualTo(RequestStatus.TRANSLATION_FAULT);
        assertThat(gpu.lastFault()).as("attached, and nothing is mapped").isEqualTo(NapotUnit.READ_FAULT);
    }

    /** An address that is x86's interrupt window is memory's like any other, once it is mapped. */
    @Test
    void aMachineThatIsNotX86sTranslatesWhereX86TakesInterrupts() {
        gpu.write(0xfee0_0000L, 1, 0);

        assertThat(gpu.lastStatus()).isEqualTo(RequestStatus.TRANSLATION_FAULT);
    }
}
