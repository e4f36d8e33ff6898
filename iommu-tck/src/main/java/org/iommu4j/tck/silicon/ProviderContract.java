// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.silicon;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.iommu4j.tck.SiliconBench.digest;

import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.lang.reflect.Proxy;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Random;
import java.util.Set;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.platform.support.FirmwareBytes;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.spi.TranslationUnitProvider;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.ShownUnit;
import org.iommu4j.tck.Machines;
import org.iommu4j.tck.NoMemory;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.SiliconBench;
import org.junit.jupiter.api.Test;

/** {@link org.iommu4j.sim.spi.TranslationUnitProvider}. */
public abstract class ProviderContract {
    private static final FirmwareTables NO_TABLES = signature -> Optional.empty();

    /** Made by JUnit. */
    protected ProviderContract() {}

    // The class.

    @Test
    @Promise("silicon-1")
    void aProviderIsMadeByServiceLoaderAndHasNoState(SiliconBench silicon) throws ReflectiveOperationException {
        Class<?> type = silicon.provider().getClass();
        // A proxy stands for the class that it was made from.
        if (!Proxy.isProxyClass(type)) {
            assertThat(Modifier.isPublic(type.getModifiers()))
                    .as("%s is public", type)
                    .isTrue();
            assertThat(Modifier.isPublic(type.getConstructor().getModifiers())).isTrue();
            for (Class<?> at = type; at != Object.class; at = at.getSuperclass()) {
                assertThat(Arrays.stream(at.getDeclaredFields())
                                .filter(field -> !Modifier.isStatic(field.getModifiers()))
                                .map(Field::getName))
                        .as("fields of instances")
                        .isEmpty();
            }
        }
    }

    @Test
    @Promise("silicon-1")
    void whatAProviderAnsweredBeforeChangesNothing(SiliconBench silicon) {
        TranslationUnitProvider provider = silicon.provider();
        List<String> names = names(provider.machines());
        long fresh = digest(silicon.create(new NoMemory()));
        for (int i = 0; i < 4; i++) {
            TranslationUnit used = silicon.create(new Ram(silicon.random()));
            for (int offset = 0; offset < 256; offset += 8) {
                used.writeRegister64(offset, 0x1001L * offset + i);
            }
            used.step();
            assertThat(digest(silicon.create(new NoMemory())))
                    .as("the digest of a new unit")
                    .isEqualTo(fresh);
            assertThat(names(provider.machines())).isEqualTo(names);
            assertThat(recognised(silicon, silicon.spec())).isEqualTo(recognised(silicon, silicon.spec()));
        }
    }

    private static List<String> names(List<MachineDescription> machines) {
        return machines.stream().map(MachineDescription::name).toList();
    }

    @Test
    @Promise("silicon-1")
    void unitsOfOneProviderShareNothing(SiliconBench silicon) {
        TranslationUnit one = silicon.create(new NoMemory());
        TranslationUnit two = silicon.create(new NoMemory());
        assertThat(two).isNotSameAs(one);
        long before = digest(two);
        for (int offset = 0; offset < 256; offset += 8) {
            one.writeRegister64(offset, 0x5678_1234_9000L);
            one.translate(8, TranslationUnit.NO_PASID, 0x1000L * offset, RequestFlags.READ);
        }
        assertThat(digest(one)).as("the digest of the unit that was written").isNotEqualTo(before);
        assertThat(digest(two)).as("the digest of the other one").isEqualTo(before);
        one.reset();
        two.writeRegister64(8, 0x1234_5000L);
        assertThat(digest(one)).isEqualTo(before);
    }

    @Test
    @Promise("silicon-name-1")
    void theNameIsOfLettersAndDigits(SiliconBench silicon) {
        TranslationUnitProvider provider = silicon.provider();
        assertThat(provider.name())
                .matches("[a-z0-9]+")
                .isEqualTo(silicon.spec().provider());
        for (MachineDescription machine : provider.machines()) {
            assertThat(machine.units())
                    .extracting(TranslationUnitSpec::provider)
                    .as("providers of the units of %s", machine.name())
                    .contains(provider.name());
        }
        assertThat(provider.name()).as("asked again").isEqualTo(provider.name());
    }

    // Machines.

    @Test
    @Promise("machines-1")
    void builtInMachinesHaveNamesOfTheirOwn(SiliconBench silicon) {
        assertThat(silicon.provider().machines()).as("built-in machines").isNotEmpty();
        Set<String> names = new HashSet<>();
        for (TranslationUnitProvider provider : silicon.subject().machines().providers()) {
            for (MachineDescription machine : provider.machines()) {
                assertThat(names.add(machine.name()))
                        .as("the name %s is new", machine.name())
                        .isTrue();
            }
        }
    }

    @Test
    @Promise("machines-1")
    void everyBuiltInMachineCanBeBuilt(SiliconBench silicon) {
        for (MachineDescription machine : silicon.provider().machines()) {
            for (Machine built : List.of(
                    silicon.subject().machines().create(machine),
                    silicon.subject().machines().createFlat(machine))) {
                assertThat(built.units().stream().map(TranslationUnit::spec)).isEqualTo(machine.units());
                for (PciAddress endpoint : Machines.endpoints(machine)) {
                    built.endpoint(endpoint).read(0, false);
                }
                built.units().forEach(Watched::settle);
            }
        }
    }

    @Test
    @Promise("machines-2")
    void exactlyOneVendorDrivesEachBuiltInMachine(SiliconBench silicon) {
        for (MachineDescription machine : silicon.provider().machines()) {
            List<IommuVendor> claiming = silicon.subject().vendors().claiming(machine.firmware());
            assertThat(claiming).as("vendors that claim %s", machine.name()).hasSize(1);
            Machine built = silicon.subject().machines().createFlat(machine);
            try (Iommu iommu =
                    claiming.get(0).open(built.vendorContext(silicon.subject().release()))) {
                assertThat(iommu.units())
                        .as("units of %s", machine.name())
                        .containsExactlyInAnyOrderElementsOf(machine.units().stream()
                                .map(TranslationUnitSpec::name)
                                .toList());
                for (FunctionDescription function : machine.functions()) {
                    assertProbed(machine, built, iommu, function);
                }
            }
        }
    }

    /** Whether a function is behind the unit that the description names is seen by which unit its requests reach. */
    private static void assertProbed(
            MachineDescription machine, Machine built, Iommu iommu, FunctionDescription function) {
        int requesterId = function.address().requesterId();
        PciFunction found = built.topology().function(function.address()).orElseThrow();
        Optional<IommuDevice> device = iommu.probe(found, requesterId);
        if (function.unit().isEmpty()) {
            return;
        }
        assertThat(device)
                .as("%s of %s, behind a unit", function.address(), machine.name())
                .isPresent();
        var domain = iommu.allocate(org.iommu4j.DomainType.UNMANAGED, device.get());
        domain.attach(device.get());
        long page = Long.lowestOneBit(domain.pageSizes());
        long iova = Math.max(page * 16, Long.highestOneBit(domain.apertureEnd() >>> 3));
        domain.map(iova, machine.memoryBytes() / 2, page, 1, org.iommu4j.Prot.READ | org.iommu4j.Prot.WRITE);
        domain.syncMap(iova, page);
        TranslationUnitSpec spec = machine.units().stream()
                .filter(unit -> unit.name().equals(function.unit().orElseThrow()))
                .findFirst()
                .orElseThrow(() -> new AssertionError("no unit " + function.unit()));
        long answer = built.unit(spec.name())
                .translate(
                        spec.sourceId(function.address().segment(), requesterId),
                        TranslationUnit.NO_PASID,
                        iova,
                        RequestFlags.READ);
        assertThat(org.iommu4j.sim.spi.Translation.toString(answer))
                .as("a page of %s, at unit %s", function.address(), spec.name())
                .startsWith(org.iommu4j.bits.Hex.of(machine.memoryBytes() / 2));
        domain.detach(device.get());
    }

    // Recognition.

    private static ShownUnit known(TranslationUnitSpec spec) {
        return new ShownUnit(OptionalLong.of(spec.registerBase()), spec.registers(), Answer.YES);
    }

    private static Optional<TranslationUnitSpec> recognised(SiliconBench silicon, TranslationUnitSpec spec) {
        return silicon.provider(spec)
                .recognise(
                        spec.name(),
                        Map.of(),
                        known(spec),
                        silicon.subject().machine().firmware());
    }

    @Test
    @Promise("recognise-1")
    void aUnitOfTheVendorsIsRecognised(SiliconBench silicon) {
        for (TranslationUnitSpec spec : silicon.subject().machine().units()) {
            TranslationUnitSpec found =
                    recognised(silicon, spec).orElseThrow(() -> new AssertionError(spec + " is not"));
            assertThat(found.name()).isEqualTo(spec.name());
            assertThat(found.provider()).isEqualTo(spec.provider());
            assertThat(found.segment()).isEqualTo(spec.segment());
            assertThat(found.registerBase()).isEqualTo(spec.registerBase());
            spec.registers()
                    .forEach((register, value) -> assertThat(found.registers().getOrDefault(register, value))
                            .as(register)
                            .isEqualTo(value));
            assertThat(silicon.provider(found).create(found, new NoMemory()).spec())
                    .isEqualTo(found);
        }
    }

    @Test
    @Promise("recognise-1")
    void aUnitOfAnotherVendorIsNot(SiliconBench silicon) {
        FirmwareTables firmware = silicon.subject().machine().firmware();
        TranslationUnitProvider provider = silicon.provider();
        for (String name : List.of("zz0", "nosuch", "x" + silicon.spec().name(), "")) {
            assertThat(provider.recognise(name, Map.of(), known(silicon.spec()), firmware))
                    .as("a unit '%s'", name)
                    .isEmpty();
        }
        assertThat(provider.recognise("zz0", Map.of("zz-iommu/version", "1:0"), known(silicon.spec()), firmware))
                .isEmpty();
        for (TranslationUnitProvider other : silicon.subject().machines().providers()) {
            if (!other.name().equals(provider.name())) {
                for (MachineDescription machine : other.machines()) {
                    for (TranslationUnitSpec spec : machine.units()) {
                        assertThat(provider.recognise(spec.name(), Map.of(), known(spec), machine.firmware()))
                                .as("unit %s of %s", spec.name(), machine.name())
                                .isEmpty();
                    }
                }
            }
        }
    }

    @Test
    @Promise("recognise-2")
    void aUnitOfWhichTooLittleIsKnownIsRefused(SiliconBench silicon) {
        TranslationUnitSpec spec = silicon.spec();
        TranslationUnitProvider provider = silicon.provider();
        assertThatThrownBy(() -> provider.recognise(
                        spec.name(), Map.of(), new ShownUnit(OptionalLong.empty(), Map.of(), Answer.YES), NO_TABLES))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining(spec.name());
        assertThatThrownBy(() -> provider.recognise(
                        spec.name(),
                        Map.of(),
                        new ShownUnit(OptionalLong.of(spec.registerBase()), Map.of(), Answer.YES),
                        NO_TABLES))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining(spec.name());
    }

    @Test
    @Promise("recognise-2")
    void whateverIsKnownAUnitIsRecognisedOrRefused(SiliconBench silicon) {
        Random random = silicon.random();
        TranslationUnitSpec spec = silicon.spec();
        for (int i = 0; i < 200; i++) {
            Map<String, Long> registers = changed(spec.registers(), random);
            OptionalLong base = random.nextInt(4) == 0 ? OptionalLong.empty() : OptionalLong.of(spec.registerBase());
            FirmwareTables firmware = firmware(silicon.subject().machine(), random);
            Map<String, String> attributes =
                    random.nextInt(4) == 0 ? Map.of("sys/" + random.nextInt(9), "?") : Map.of();
            silicon.steps().note("recognise(%s, %s, %s)", spec.name(), base, registers);
            try {
                silicon.provider()
                        .recognise(spec.name(), attributes, new ShownUnit(base, registers, Answer.YES), firmware)
                        .ifPresent(found -> assertThat(found.provider()).isEqualTo(spec.provider()));
            } catch (IllegalArgumentException e) {
                assertThat(e).hasMessageMatching("(?s).*\\S.*");
            }
        }
    }

    private static FirmwareTables firmware(MachineDescription machine, Random random) {
        Map<String, byte[]> tables = new HashMap<>();
        machine.acpiTables().forEach((signature, table) -> tables.put(signature, perhapsDamaged(table, random)));
        return new FirmwareBytes(tables, machine.deviceTree().map(tree -> perhapsDamaged(tree, random)));
    }

    private static byte[] perhapsDamaged(byte[] table, Random random) {
        if (random.nextInt(3) != 0) {
            return table;
        }
        byte[] cut = Arrays.copyOf(table, random.nextInt(table.length + 1));
        for (int i = 0; i < cut.length / 16; i++) {
            cut[random.nextInt(cut.length)] = (byte) random.nextInt();
        }
        return cut;
    }

    private static Map<String, Long> changed(Map<String, Long> registers, Random random) {
        Map<String, Long> changed = new HashMap<>(registers);
        for (String register : registers.keySet()) {
            switch (random.nextInt(5)) {
                case 0 -> changed.remove(register);
                case 1 -> changed.put(register, random.nextLong());
                case 2 -> changed.put(register, registers.get(register) ^ 1L << random.nextInt(64));
                case 3 -> changed.put(register, random.nextBoolean() ? -1L : 0L);
                default -> {}
            }
        }
        return changed;
    }

    // Creation.

    private static TranslationUnitSpec with(TranslationUnitSpec spec, Map<String, Long> registers) {
        return new TranslationUnitSpec(
                spec.provider(),
                spec.name(),
                spec.segment(),
                spec.registerBase(),
                spec.registerSize(),
                registers,
                spec.sourceIds());
    }

    @Test
    @Promise("create-1")
    void aUnitWithoutItsRegistersIsRefused(SiliconBench silicon) {
        TranslationUnitSpec spec = silicon.spec();
        assertThatThrownBy(() -> silicon.provider().create(with(spec, Map.of()), new NoMemory()))
                .as("a unit without registers")
                .isInstanceOf(IllegalArgumentException.class);
        for (String register : spec.registers().keySet()) {
            Map<String, Long> alone = Map.of(register, spec.register(register));
            Map<String, Long> without = new HashMap<>(spec.registers());
            without.remove(register);
            boolean refused = isRefused(silicon, with(spec, without));
            if (!isRefused(silicon, with(spec, alone))) {
                // What alone is enough is the one that is needed.
                assertThat(refused)
                        .as("a unit without %s, which alone is enough, is refused", register)
                        .isTrue();
            }
        }
    }

    private static boolean isRefused(SiliconBench silicon, TranslationUnitSpec spec) {
        try {
            TranslationUnit unit = silicon.provider(spec).create(spec, new Ram());
            assertThat(unit.spec()).isEqualTo(spec);
            unit.translate(8, TranslationUnit.NO_PASID, 0x1000, RequestFlags.READ);
            Watched.settle(unit);
            return false;
        } catch (IllegalArgumentException e) {
            assertThat(e).hasMessageMatching("(?s).*\\S.*");
            return true;
        }
    }

    @Test
    @Promise("create-1")
    void aUnitOfAnyRegistersIsMadeOrRefused(SiliconBench silicon) {
        Random random = silicon.random();
        int made = 0;
        for (int i = 0; i < 150; i++) {
            TranslationUnitSpec spec =
                    with(silicon.spec(), changed(silicon.spec().registers(), random));
            silicon.steps().note("create(%s)", spec.registers());
            made += isRefused(silicon, spec) ? 0 : 1;
        }
        silicon.steps().note("%d of 150 were made", made);
    }
}
