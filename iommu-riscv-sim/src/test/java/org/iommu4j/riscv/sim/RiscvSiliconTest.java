// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.ServiceLoader;
import java.util.stream.IntStream;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.platform.AcpiTable;
import org.iommu4j.platform.DeviceTree;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.platform.support.FirmwareBytes;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.pcie.ConfigSpaceBuilder;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.SourceIdRange;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.spi.TranslationUnitProvider;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.ShownUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The provider, its machines, and firmware's table. */
class RiscvSiliconTest {
    private static final long DIRECTORY = 0x10_0000;
    private static final long IOVA = 0x4060_7000L;
    private static final long PAGE = 0x900_0000;

    private final RiscvSilicon silicon = new RiscvSilicon();
    private final MachineFactory factory = MachineFactory.load();

    @Test
    void theServiceLoaderFindsIt() {
        assertThat(ServiceLoader.load(TranslationUnitProvider.class))
                .anyMatch(provider -> provider instanceof RiscvSilicon);
    }

    /** Writes tables for a device into a machine's memory, through a CPU's caches if it has any. */
    private static void tables(SystemMemory memory, int device, boolean extended) {
        long next = DIRECTORY + 0x1000;
        long at = DIRECTORY;
        for (int shift : extended ? new int[] {15, 6} : new int[] {16, 7}) {
            memory.store(at + (device >>> shift & 0x1ff) * 8L, next >>> 12 << 10 | 1);
            at = next;
            next += 0x1000;
        }
        at += extended ? (device & 0x3f) * 64L : (device & 0x7f) * 32L;
        memory.store(at + 24, 8L << 60 | next >>> 12);
        memory.store(at, 1);
        memory.store(next + (IOVA >>> 30) * 8, (next + 0x1000) >>> 12 << 10 | 1);
        memory.store(next + 0x1000 + (IOVA >>> 21 & 0x1ff) * 8, (next + 0x2000) >>> 12 << 10 | 1);
        memory.store(next + 0x2000 + (IOVA >>> 12 & 0x1ff) * 8, PAGE >>> 12 << 10 | 0xd7);
    }

    private static void turnOn(TranslationUnit unit) {
        unit.writeRegister64(16, DIRECTORY >>> 12 << 10 | 4);
        settle(unit);
    }

    private static void settle(TranslationUnit unit) {
        while (unit.step()) {
            // one event after the other
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"riscv", "riscv-pci", "riscv-small"})
    void aDeviceOfEachMachineReachesItsPageThroughCaches(String name) {
        Machine machine = factory.create(factory.named(name));
        TranslationUnit unit = machine.units().get(0);
        Endpoint gpu = machine.endpoint(BuiltInTopology.GPU);
        assertThat(gpu.read(IOVA, false)).as("the unit is off").isEqualTo(-1L);
        tables(machine.memory(0), gpu.sourceId(), !name.endsWith("small"));
        turnOn(unit);
        machine.memory(1).store(PAGE + 0x18, 0x1234_5678_9abcL);

        assertThat(gpu.read(IOVA + 0x18, false)).isEqualTo(0x1234_5678_9abcL);
        assertThat(gpu.write(IOVA + 0x20, 42, false)).isTrue();
        assertThat(machine.memory(0).load(PAGE + 0x20)).isEqualTo(42);
        assertThat(gpu.write(IOVA + 0x1000, 42, false)).isFalse();
        assertThat(gpu.lastFault()).isEqualTo(15);
        assertThat(machine.endpoint(BuiltInTopology.SECOND_GPU).write(IOVA, 1, false))
                .isFalse();
    }

    @Test
    void noSnoopPassesTheUnit() {
        Machine machine = factory.create(factory.named("riscv"));
        Endpoint gpu = machine.endpoint(BuiltInTopology.GPU);
        tables(machine.memory(0), gpu.sourceId(), true);
        turnOn(machine.units().get(0));
        machine.memory(0).store(PAGE, 7);
        assertThat(gpu.read(IOVA, false)).isEqualTo(7);
        assertThat(gpu.read(IOVA, true)).as("what DRAM has").isZero();
    }

    /** Its requester id names a function to a command, its device id the same function to the tables. */
    @Test
    void aDeviceWithATranslationCacheForgetsWhenACommandSaysSo() {
        MachineDescription description = factory.named("riscv");
        List<FunctionDescription> functions = new ArrayList<>(description.functions());
        functions.replaceAll(each -> each.address().equals(BuiltInTopology.GPU) ? withAts(each) : each);
        Machine machine = factory.createFlat(description.withFunctions(functions));
        TranslationUnit unit = machine.units().get(0);
        SystemMemory memory = machine.memory(0);
        Endpoint gpu = machine.endpoint(BuiltInTopology.GPU);
        tables(memory, gpu.sourceId(), true);
        long context = DIRECTORY + 0x2000 + (gpu.sourceId() & 0x3f) * 64L;
        memory.store(context, 1 | 1 << 1 | 1 << 2);
        turnOn(unit);
        gpu.config().write(0x106, 2, 0x8000);
        gpu.config().write(0x116, 2, 1);

        assertThat(gpu.write(IOVA, 7, false)).isTrue();
        memory.store(PAGE, 0);
        memory.store(DIRECTORY + 0x5000 + (IOVA >>> 12 & 0x1ff) * 8, 0);
        long commands = DIRECTORY + 0x10_0000;
        unit.writeRegister64(24, commands >>> 12 << 10 | 3);
        unit.writeRegister32(72, 1);
        memory.store(commands, 1); // IOTINVAL.VMA
        memory.store(commands + 16, 4 | (long) BuiltInTopology.GPU.requesterId() << 40);
        memory.store(commands + 24, IOVA);
        memory.store(commands + 32, 2); // IOFENCE.C
        settle(unit);
        unit.writeRegister32(36, 1);
        settle(unit);
        assertThat(gpu.write(IOVA, 8, false)).as("from the device's cache").isTrue();
        unit.writeRegister32(36, 3);
        settle(unit);
        assertThat(unit.readRegister32(32)).as("the fence is done").isEqualTo(3);
        assertThat(gpu.write(IOVA, 9, false)).isFalse();
        assertThat(memory.load(PAGE)).isEqualTo(8);
    }

    private static FunctionDescription withAts(FunctionDescription function) {
        byte[] config = ConfigSpaceBuilder.endpoint(0x1b36, 0x100, ConfigSpaceBuilder.CLASS_VGA)
                .ats()
                .pri(8)
                .build();
        return new FunctionDescription(
                function.address(), function.upstreamBridge(), config, function.unit(), function.externalFacing());
    }

    @Test
    void theEngineThatIsNotOnPciHasIdsOfItsOwn() {
        MachineDescription description = factory.named("riscv");
        assertThat(description.platformDevices().get(0).sourceIds()).containsExactly(0x2_0001, 0x2_0002);
        Machine machine = factory.createFlat(description);
        tables(machine.memory(0), 0x2_0002, true);
        turnOn(machine.units().get(0));
        assertThat(machine.units().get(0).translate(0x2_0002, TranslationUnit.NO_PASID, IOVA, 1))
                .isEqualTo(PAGE);
        assertThat(machine.namedDevices()).containsExactly(new NamedDevice("\\_SB.DMA0"));
    }

    @Test
    void firmwaresTableSaysWhereTheUnitIsAndWhichIdsDevicesHave() {
        AcpiTable table =
                AcpiTable.parse("RIMT", factory.named("riscv").acpiTables().get("RIMT"));
        assertThat(table.checksumValid()).isTrue();
        assertThat(table.u32(36)).as("nodes").isEqualTo(3);
        int iommu = (int) table.u32(40);
        assertThat(table.u8(iommu)).isZero();
        assertThat(table.u64(iommu + 16)).as("registers").isEqualTo(0x4000_0000L);
        assertThat(table.u16(iommu + 36)).as("wires").isEqualTo(4);
        assertThat(table.u32(iommu + table.u16(iommu + 38))).as("first wire").isEqualTo(36);

        int complex = iommu + table.u16(iommu + 2);
        assertThat(table.u8(complex)).isEqualTo(1);
        int mapping = complex + table.u16(complex + 16);
        assertThat(new long[] {
                    table.u32(mapping), table.u32(mapping + 4), table.u32(mapping + 8), table.u32(mapping + 12)
                })
                .containsExactly(1, 0xffff, 0x1_0001, iommu);

        int platform = complex + table.u16(complex + 2);
        assertThat(table.u8(platform)).isEqualTo(2);
        assertThat(table.u16(platform + 10)).as("mappings").isEqualTo(2);
        assertThat(table.u8(platform + 12)).as("\\").isEqualTo('\\');
        int last = platform + table.u16(platform + 8) + 20;
        assertThat(table.u32(last)).isEqualTo(1);
        assertThat(table.u32(last + 8)).isEqualTo(0x2_0002);
        assertThat(platform + table.u16(platform + 2)).isEqualTo(table.length());
    }

    @Test
    void firmwaresTreeSaysTheSameInItsBindings() {
        MachineDescription description = factory.named("riscv-dt");
        assertThat(description.acpiTables()).isEmpty();
        DeviceTree tree = DeviceTree.parse(description.deviceTree().orElseThrow());
        DeviceTree.Node iommu = node(tree, "/soc/iommu@40000000");
        assertThat(iommu.isCompatible("riscv,iommu")).isTrue();
        assertThat(iommu.words("reg")).containsExactly(0, 0x4000_0000, 0, 0x1000);
        assertThat(iommu.words("#iommu-cells")).containsExactly(1);
        assertThat(iommu.words("interrupts")).containsExactly(36, 4, 37, 4, 38, 4, 39, 4);
        long phandle = iommu.number("phandle").orElseThrow();
        DeviceTree.Node pci = node(tree, "/soc/pci@30000000");
        assertThat(pci.strings("device_type")).containsExactly("pci");
        assertThat(pci.words("iommu-map")).containsExactly(1, phandle, 0x1_0001, 0xffff);
        assertThat(node(tree, "/soc/dma-controller@10010000").words("iommus"))
                .containsExactly(phandle, 0x2_0001, phandle, 0x2_0002);
        assertThat(factory.createFlat(description).namedDevices())
                .containsExactly(new NamedDevice("10010000.dma-controller"));
    }

    private static DeviceTree.Node node(DeviceTree tree, String path) {
        return tree.nodes().stream()
                .filter(node -> node.path().equals(path))
                .findFirst()
                .orElseThrow();
    }

    /** A unit on PCI is known by its place below the host bridge. */
    @Test
    void aCapturedFunctionInATreeHasTheIdsOfItsNode() {
        MachineDescription pci = factory.named("riscv-pci");
        TranslationUnitSpec unit = pci.units().get(0);
        FirmwareTables tree = new FirmwareBytes(Map.of(), Optional.of(functionInATree()));
        ShownUnit shown = shown(OptionalLong.of(unit.registerBase()), unit.registers());
        assertThat(recognise(unit.name(), shown, tree).orElseThrow().sourceIds())
                .containsExactly(new SourceIdRange(0, 0, 0x18, 0x5000), new SourceIdRange(0, 0x19, 0xffe7, 0x19));
        assertThat(recognise("riscv-iommu@0000:00:04.0", shown, tree)
                        .orElseThrow()
                        .sourceIds())
                .isEmpty();
    }

    /** {@code pci { iommu-map = <0 1 0x5000 0x18 0x19 1 0x19 0x1ffff>; unit { reg = <0x1800>; phandle = <1>; }; }}. */
    private static byte[] functionInATree() {
        byte[] strings = "iommu-map\0reg\0phandle\0".getBytes(StandardCharsets.US_ASCII);
        int[] structure = {
            1,
            0,
            1,
            0x70636900,
            3,
            32,
            0,
            0,
            1,
            0x5000,
            0x18,
            0x19,
            1,
            0x19,
            0x1_ffff,
            1,
            0x756e6974,
            0,
            3,
            4,
            10,
            0x1800,
            3,
            4,
            14,
            1,
            2,
            2,
            2,
            9
        };
        ByteBuffer tree = ByteBuffer.allocate(56 + 4 * structure.length + strings.length);
        int at = 56 + 4 * structure.length;
        int[] header = {
            0xd00dfeed, tree.capacity(), 56, at, 40, 17, 16, 0, strings.length, 4 * structure.length, 0, 0, 0, 0
        };
        IntStream.concat(IntStream.of(header), IntStream.of(structure)).forEach(tree::putInt);
        return tree.put(strings).array();
    }

    // --- captured hosts ---

    private static ShownUnit shown(OptionalLong base, Map<String, Long> registers) {
        return new ShownUnit(base, registers, Answer.YES);
    }

    private Optional<TranslationUnitSpec> recognise(String name, ShownUnit shown, FirmwareTables firmware) {
        return silicon.recognise(name, Map.of(), shown, firmware);
    }

    @ParameterizedTest
    @ValueSource(strings = {"riscv", "riscv-dt", "riscv-pci"})
    void aCapturedUnitIsMadeFromItsRegistersAndFirmwaresTable(String machine) {
        TranslationUnitSpec unit = factory.named(machine).units().get(0);
        ShownUnit shown = shown(OptionalLong.of(unit.registerBase()), unit.registers());
        FirmwareTables firmware = factory.named(machine).firmware();
        assertThat(recognise(unit.name(), shown, firmware)).contains(unit);
        ShownUnit other = shown(OptionalLong.of(0x5000_0000), unit.registers());
        assertThat(recognise("riscv-iommu@0000:00:04.0", other, firmware)
                        .orElseThrow()
                        .sourceIds())
                .as("of another unit")
                .isEmpty();
    }

    @Test
    void featuresThatAreNotModelledAreLeftOut() {
        long capabilities = RiscvSilicon.CAPABILITIES_FULL | 1L << 30 | 1L << 16 | 1 << 8;
        TranslationUnitSpec unit = recognise(
                        "riscv-iommu@0000:00:03.0",
                        shown(OptionalLong.of(0x4000_0000), Map.of("capabilities", capabilities)),
                        signature -> Optional.empty())
                .orElseThrow();
        assertThat(unit.register("capabilities")).isEqualTo(RiscvSilicon.CAPABILITIES_FULL);
        assertThat(unit.sourceIds()).isEqualTo(List.<SourceIdRange>of());
    }

    @Test
    void whatIsNotEnoughIsRefusedAndOthersUnitsAreNotOurs() {
        FirmwareTables none = signature -> Optional.empty();
        Map<String, Long> registers = Map.of("capabilities", RiscvSilicon.CAPABILITIES_FULL);
        assertThat(recognise("dmar0", shown(OptionalLong.of(0), registers), none))
                .isEmpty();
        assertThatIllegalArgumentException()
                .isThrownBy(() -> recognise("riscv-iommu@x", shown(OptionalLong.empty(), registers), none));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> recognise("riscv-iommu@x", shown(OptionalLong.of(0), Map.of()), none));
        ShownUnit senseless = shown(OptionalLong.of(0), Map.of("capabilities", 0L));
        assertThatIllegalArgumentException().isThrownBy(() -> recognise("riscv-iommu@x", senseless, none));
    }
}
