// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.vendor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Random;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.iommu4j.LinuxRelease;
import org.iommu4j.ReservedRegion;
import org.iommu4j.device.DeviceId;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.platform.MalformedTableException;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.BootOptions;
import org.iommu4j.spi.DeviceDescription;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.HostFacts;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.Reason;
import org.iommu4j.spi.RegisterValues;
import org.iommu4j.spi.ShownUnit;
import org.iommu4j.spi.UnitAbilities;
import org.iommu4j.spi.UnitDescription;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.VendorBench;
import org.junit.jupiter.api.Test;

/** {@link org.iommu4j.spi.IommuVendor#describe}. */
public abstract class DescriptionContract {
    /** Made by JUnit. */
    protected DescriptionContract() {}

    /** Returns descriptions of all that may be known of the machine, by what is known. */
    private static Map<String, HostFacts> views(VendorBench bench) {
        Map<String, HostFacts> views = new LinkedHashMap<>();
        var firmware = bench.subject().machine().firmware();
        views.put("all", bench.facts());
        views.put("no registers", bench.facts(firmware, bench.topology(), RegisterValues.UNKNOWN));
        views.put("no functions", bench.facts(firmware, () -> List.of(), bench.values()));
        views.put("the table alone", bench.facts(firmware, () -> List.of(), RegisterValues.UNKNOWN));
        HostFacts shown = bench.facts(
                VendorBench.firmware(Map.of()),
                bench.topology(),
                RegisterValues.UNKNOWN,
                bench.shownUnits(),
                Map.of(),
                bench.subject().machine().bootOptions());
        if (bench.vendor().recognises(shown)) {
            views.put("what Linux shows", shown);
            SortedMap<String, ShownUnit> bare = new TreeMap<>();
            bench.shownUnits()
                    .forEach((name, unit) -> bare.put(name, new ShownUnit(OptionalLong.empty(), Map.of(), Answer.YES)));
            views.put(
                    "names of units",
                    bench.facts(
                            VendorBench.firmware(Map.of()),
                            bench.topology(),
                            RegisterValues.UNKNOWN,
                            bare,
                            Map.of(),
                            bench.subject().machine().bootOptions()));
        }
        return views;
    }

    @Test
    @Promise("describe-1")
    void nothingIsChangedByADescription(VendorBench bench) {
        IommuVendor vendor = bench.vendor();
        views(bench).forEach((known, facts) -> {
            List<String> asked = new ArrayList<>();
            RegisterValues counting = (unit, base, register) -> {
                asked.add(register);
                return facts.registers().value(unit, base, register);
            };
            HostFacts watched = bench.facts(
                    facts.firmware(),
                    facts.topology(),
                    counting,
                    facts.shownUnits(),
                    facts.unitLinks(),
                    facts.bootOptions());
            HostDescription first = vendor.describe(watched, bench.release());
            assertThat(vendor.describe(watched, bench.release()))
                    .as("described again, where known is %s", known)
                    .isEqualTo(first);
            assertThat(asked.size()).as("values of registers asked for").isLessThan(10_000);
        });
    }

    @Test
    @Promise("describe-2")
    void whatIsNotToldIsUnknown(VendorBench bench) {
        IommuVendor vendor = bench.vendor();
        HostDescription all = bench.describe();
        views(bench).forEach((known, facts) -> {
            HostDescription some = vendor.describe(facts, bench.release());
            bench.steps().note("describe, where known is: %s", known);
            for (UnitDescription unit : some.units()) {
                UnitDescription full = unit(all, unit.id());
                assertThat(spec(bench, unit.id()).registers())
                        .as("registers of %s, where known is: %s", unit.id(), known)
                        .containsAllEntriesOf(unit.registers());
                assertNotGuessed(unit, full, known);
                if (known.equals("names of units")) {
                    assertThat(unit.registerBase()).isEmpty();
                    assertThat(unit.segment()).isEmpty();
                    assertThat(unit.registers()).isEmpty();
                    assertThat(unit.fields()).isEmpty();
                }
            }
            for (DeviceDescription device : some.devices()) {
                assertNotGuessed(device, device(all, device.id()), known);
                if (known.equals("names of units")) {
                    assertThat(device.reservedRegions())
                            .as("regions that no table tells")
                            .isNull();
                }
            }
        });
    }

    @Test
    @Promise("describe-2")
    void aUnitWhoseRegistersWereNotReadHasNoneInvented(VendorBench bench) {
        HostFacts unread = bench.facts(bench.subject().machine().firmware(), bench.topology(), RegisterValues.UNKNOWN);
        for (UnitDescription unit :
                bench.vendor().describe(unread, bench.release()).units()) {
            assertThat(unit(bench.describe(), unit.id()).registers())
                    .as("registers of %s, which only a table may tell", unit.id())
                    .containsAllEntriesOf(unit.registers());
        }
        RegisterValues gone = (unit, base, register) -> OptionalLong.of(-1L);
        HostFacts absent = bench.facts(bench.subject().machine().firmware(), bench.topology(), gone);
        for (UnitDescription unit :
                bench.vendor().describe(absent, bench.release()).units()) {
            assertThat(unit.registers().values())
                    .as("registers of %s, which read all ones", unit.id())
                    .doesNotContain(-1L);
        }
    }

    private static void assertNotGuessed(UnitDescription some, UnitDescription all, String known) {
        String about = some.id() + ", where known is: " + known;
        assertThat(some.registerBase()).as(about).isIn(OptionalLong.empty(), all.registerBase());
        assertThat(some.includeAll()).as(about).isIn(Answer.UNKNOWN, all.includeAll());
        UnitAbilities can = some.abilities();
        UnitAbilities full = all.abilities();
        List<Answer> answers = answers(can);
        for (int i = 0; i < answers.size(); i++) {
            assertThat(answers.get(i))
                    .as("ability %d of %s", i, about)
                    .isIn(Answer.UNKNOWN, answers(full).get(i));
        }
        assertThat(can.pageSizes()).as(about).isIn(0L, full.pageSizes());
        assertThat(can.levels()).as(about).isIn(0, full.levels());
        assertThat(can.addressWidth()).as(about).isIn(0, full.addressWidth());
    }

    private static List<Answer> answers(UnitAbilities can) {
        return List.of(
                can.blocksNoSnoop(),
                can.coherentWalk(),
                can.interruptRemapping(),
                can.firstStage(),
                can.secondStage(),
                can.nested(),
                can.pasid(),
                can.dirtyTracking());
    }

    private static void assertNotGuessed(DeviceDescription some, DeviceDescription all, String known) {
        String about = some.id() + ", where known is: " + known;
        assertThat(some.translated()).as("translated: %s", about).isIn(Answer.UNKNOWN, all.translated());
        if (all.translated() == Answer.YES) {
            assertThat(some.enforceCacheCoherency())
                    .as("enforcement: %s", about)
                    .isIn(Answer.UNKNOWN, all.enforceCacheCoherency());
        }
        assertThat(some.isolatedInterrupts())
                .as("interrupts: %s", about)
                .isIn(Answer.UNKNOWN, all.isolatedInterrupts());
        if (some.unit() != null) {
            assertThat(some.unit()).as("unit: %s", about).isEqualTo(all.unit());
        }
        if (some.reservedRegions() != null) {
            assertThat(some.reservedRegions()).as("regions: %s", about).isEqualTo(all.reservedRegions());
        }
    }

    private static UnitDescription unit(HostDescription description, String id) {
        return description.units().stream()
                .filter(unit -> unit.id().equals(id))
                .findFirst()
                .orElseThrow(() -> new AssertionError("no unit " + id));
    }

    private static TranslationUnitSpec spec(VendorBench bench, String id) {
        return bench.subject().machine().units().stream()
                .filter(unit -> unit.name().equals(id))
                .findFirst()
                .orElseThrow(() -> new AssertionError("the machine has no unit " + id));
    }

    private static DeviceDescription device(HostDescription description, DeviceId id) {
        return description.devices().stream()
                .filter(device -> device.id().equals(id))
                .findFirst()
                .orElseThrow(() -> new AssertionError("no device " + id));
    }

    // Precedence and warnings.

    @Test
    @Promise("describe-3")
    void theUnitThatLinuxShowsForADeviceTakesPrecedence(VendorBench bench) {
        IommuVendor vendor = bench.vendor();
        HostDescription agreed = linked(bench, Map.of());
        for (PciFunction function : bench.topology().functions()) {
            for (TranslationUnitSpec unit : bench.subject().machine().units()) {
                HostDescription linked = linked(bench, Map.of(function.address(), unit.name()));
                DeviceDescription device = device(linked, function.address());
                String before = device(agreed, function.address()).unit();
                bench.steps().note("link %s to %s", function.address(), unit.name());
                if (!vendor.recognises(shownOnly(bench))) {
                    assertThat(linked)
                            .as("a vendor that Linux shows nothing of")
                            .isEqualTo(agreed);
                } else {
                    assertThat(device.unit()).as("the unit of %s", device.id()).isEqualTo(unit.name());
                    assertThat(device.translated()).isEqualTo(Answer.YES);
                    if (unit.name().equals(before)) {
                        assertThat(linked.warnings()).isEqualTo(agreed.warnings());
                    } else {
                        assertThat(added(linked, agreed))
                                .as("warnings of a difference")
                                .anyMatch(warning ->
                                        warning.contains(function.address().toString()));
                    }
                }
            }
        }
    }

    private static HostFacts shownOnly(VendorBench bench) {
        return bench.facts(
                VendorBench.firmware(Map.of()),
                bench.topology(),
                RegisterValues.UNKNOWN,
                bench.shownUnits(),
                Map.of(),
                BootOptions.DEFAULT);
    }

    private static HostDescription linked(VendorBench bench, Map<DeviceId, String> links) {
        return bench.vendor()
                .describe(
                        bench.facts(
                                bench.subject().machine().firmware(),
                                bench.topology(),
                                bench.values(),
                                bench.shownUnits(),
                                links,
                                bench.subject().machine().bootOptions()),
                        bench.release());
    }

    private static List<String> added(HostDescription now, HostDescription before) {
        List<String> added = new ArrayList<>(now.warnings());
        before.warnings().forEach(added::remove);
        return added;
    }

    @Test
    @Promise("describe-3")
    void aUnitThatOnlyLinuxShowsIsDescribedWithAWarning(VendorBench bench) {
        if (!bench.vendor().recognises(shownOnly(bench))) {
            return;
        }
        TranslationUnitSpec last = bench.subject()
                .machine()
                .units()
                .get(bench.subject().machine().units().size() - 1);
        String more = last.name().replaceFirst("[0-9]+$", "") + "7";
        SortedMap<String, ShownUnit> units = new TreeMap<>(bench.shownUnits());
        units.put(more, new ShownUnit(OptionalLong.of(0xfe000000L), last.registers(), Answer.YES));
        HostDescription description = bench.vendor()
                .describe(
                        bench.facts(
                                bench.subject().machine().firmware(),
                                bench.topology(),
                                bench.values(),
                                units,
                                Map.of(),
                                BootOptions.DEFAULT),
                        bench.release());
        assertThat(description.units()).extracting(UnitDescription::id).contains(more);
        assertThat(added(description, linked(bench, Map.of())))
                .as("warnings of a difference")
                .anyMatch(warning -> warning.contains(more));
        for (PciFunction function : bench.topology().functions()) {
            HostDescription linked = bench.vendor()
                    .describe(
                            bench.facts(
                                    bench.subject().machine().firmware(),
                                    bench.topology(),
                                    bench.values(),
                                    units,
                                    Map.of(function.address(), more),
                                    BootOptions.DEFAULT),
                            bench.release());
            assertThat(device(linked, function.address()).unit())
                    .as("the unit of %s, which no table has", function.address())
                    .isEqualTo(more);
            assertThat(added(linked, description))
                    .as("warnings of a difference")
                    .anyMatch(warning -> warning.contains(function.address().toString()));
        }
    }

    @Test
    @Promise("describe-4")
    void aWrongChecksumIsAWarning(VendorBench bench) {
        if (bench.byDeviceTree()) {
            return; // it has no checksum
        }
        IommuVendor vendor = bench.vendor();
        byte[] wrong = TableMutants.wronglySummed(bench.table(bench.signature()));
        HostDescription warned = vendor.describe(
                bench.facts(bench.firmwareWith(wrong), bench.topology(), bench.values()), bench.release());
        HostDescription right = bench.describe();
        assertThat(added(warned, right)).as("warnings of a wrong checksum").isNotEmpty();
        assertThat(added(right, warned))
                .as("warnings of the right checksum alone")
                .isEmpty();
        assertThat(warned.warnings()).allSatisfy(warning -> assertThat(warning).isNotBlank());
        assertThat(warned.units()).isEqualTo(right.units());
        assertThat(warned.devices()).isEqualTo(right.devices());
    }

    // Units and devices.

    @Test
    @Promise("describe-5")
    void unitsHaveTheirNamesInTheFirmwaresOrder(VendorBench bench) {
        List<String> names = bench.subject().machine().units().stream()
                .map(TranslationUnitSpec::name)
                .toList();
        HostDescription all = bench.describe();
        assertThat(all.units()).extracting(UnitDescription::id).containsExactlyElementsOf(names);
        for (TranslationUnitSpec spec : bench.subject().machine().units()) {
            UnitDescription unit = unit(all, spec.name());
            assertThat(unit.registerBase()).as("registers of %s", unit.id()).hasValue(spec.registerBase());
            assertThat(unit.segment()).as("segment of %s", unit.id()).hasValue(spec.segment());
        }
        views(bench).forEach((known, facts) -> {
            HostDescription some = bench.vendor().describe(facts, bench.release());
            assertThat(some.units())
                    .as("where known is: %s", known)
                    .extracting(UnitDescription::id)
                    .containsExactlyElementsOf(names);
        });
    }

    @Test
    @Promise("describe-6")
    void everyFunctionIsThereOnceWithReasonsAndSortedRegions(VendorBench bench) {
        Random random = bench.random();
        List<FunctionDescription> functions = bench.subject().machine().functions();
        views(bench).forEach((known, facts) -> assertWhole(bench, facts, known));
        for (int i = 0; i < 10; i++) {
            Set<DeviceId> kept = functions.stream()
                    .filter(function -> random.nextBoolean())
                    .map(FunctionDescription::address)
                    .collect(Collectors.toSet());
            List<PciFunction> some = bench.topology().functions().stream()
                    .filter(function -> kept.contains(function.address()))
                    .toList();
            assertWhole(
                    bench,
                    bench.facts(bench.subject().machine().firmware(), () -> some, bench.values()),
                    "functions " + kept);
        }
    }

    private static void assertWhole(VendorBench bench, HostFacts facts, String known) {
        HostDescription description = bench.vendor().describe(facts, bench.release());
        assertThat(description.devices())
                .as("where known is: %s", known)
                .extracting(DeviceDescription::id)
                .containsExactlyElementsOf(facts.topology().functions().stream()
                        .<DeviceId>map(PciFunction::address)
                        .toList());
        for (DeviceDescription device : description.devices()) {
            assertThat(device.reasons()).as("reasons of %s", device.id()).isNotEmpty();
            assertThat(device.reasons()).allSatisfy(reason -> {
                assertThat(reason.text()).isNotBlank();
                assertThat(reason.source()).isNotBlank();
            });
            assertThat(device.reasons()).doesNotHaveDuplicates();
            if (device.reservedRegions() != null) {
                assertThat(device.reservedRegions())
                        .as("regions of %s", device.id())
                        .isSortedAccordingTo(Comparator.comparing(ReservedRegion::start, Long::compareUnsigned));
            }
            List<String> units =
                    description.units().stream().map(UnitDescription::id).toList();
            if (device.unit() != null) {
                assertThat(device.unit()).as("the unit of %s", device.id()).isIn(units);
            }
            assertThat(device.candidates()).as("candidates of %s", device.id()).isSubsetOf(units);
        }
    }

    /** One reason can't decide two ways. */
    @Test
    @Promise("describe-6")
    void theFirstReasonDecides(VendorBench bench) {
        Map<Reason, Answer> decided = new LinkedHashMap<>();
        Map<String, HostFacts> views = views(bench);
        for (String known : List.of("all", "no registers")) {
            for (DeviceDescription device :
                    bench.vendor().describe(views.get(known), bench.release()).devices()) {
                Reason first = device.reasons().get(0);
                Answer answer = device.enforceCacheCoherency();
                assertThat(decided.getOrDefault(first, answer))
                        .as("what '%s' decides, also for %s", first, device.id())
                        .isEqualTo(answer);
                decided.put(first, answer);
            }
        }
    }

    // Refusals.

    @Test
    @Promise("describe-8")
    void aTableThatCantBeReadIsMalformed(VendorBench bench) {
        IommuVendor vendor = bench.vendor();
        byte[] table = bench.table(bench.signature());
        for (int length = 0; length < table.length; length++) {
            byte[] cut = Arrays.copyOf(table, length);
            assertThatThrownBy(() -> describe(bench, vendor, cut))
                    .as("describe by the first %d bytes of %d", length, table.length)
                    .isInstanceOf(MalformedTableException.class)
                    .hasMessageContaining(bench.signature());
        }
        for (byte[] other : List.of(otherSignature(table), shorter(table))) {
            assertThatThrownBy(() -> describe(bench, vendor, other))
                    .as(() -> "describe by " + HexFormat.of().formatHex(other))
                    .isInstanceOf(MalformedTableException.class);
        }
    }

    private static byte[] otherSignature(byte[] table) {
        byte[] other = table.clone();
        other[0] ^= 0x20;
        return TableMutants.summed(other);
    }

    /** Its header declares fewer bytes than a header has. */
    private static byte[] shorter(byte[] table) {
        byte[] other = table.clone();
        Arrays.fill(other, 4, 8, (byte) 0);
        other[4] = 35;
        return TableMutants.summed(other);
    }

    @Test
    @Promise({"describe-8", "describe-6"})
    void noBytesOfATableLeadToAnotherException(VendorBench bench) {
        IommuVendor vendor = bench.vendor();
        byte[] table = bench.table(bench.signature());
        Random random = bench.random();
        for (int i = 0; i < bench.mutants(3000); i++) {
            byte[] mutant = TableMutants.mutant(table, random);
            if (!vendor.claims(bench.firmwareWith(mutant))) {
                continue; // a device tree without the vendor's unit
            }
            HostDescription description;
            try {
                description = describe(bench, vendor, mutant);
            } catch (MalformedTableException malformed) {
                assertThat(malformed).hasMessageContaining(bench.signature());
                continue;
            } catch (RuntimeException other) {
                throw new AssertionError(
                        "describe with " + HexFormat.of().formatHex(mutant) + " throws " + other, other);
            }
            assertThat(description.devices())
                    .hasSize(bench.subject().machine().functions().size());
            assertThat(description.units()).extracting(UnitDescription::id).doesNotHaveDuplicates();
            for (DeviceDescription device : description.devices()) {
                assertThat(device.reasons()).as("reasons of %s", device.id()).isNotEmpty();
            }
        }
    }

    private static HostDescription describe(VendorBench bench, IommuVendor vendor, byte[] table) {
        return vendor.describe(
                bench.facts(bench.firmwareWith(table), bench.topology(), bench.values()), bench.release());
    }

    @Test
    @Promise("describe-9")
    void aHostWithoutAnythingOfTheVendorsIsRefused(VendorBench bench) {
        IommuVendor vendor = bench.vendor();
        SortedMap<String, ShownUnit> strangers = new TreeMap<>();
        strangers.put("zz9", new ShownUnit(OptionalLong.empty(), Map.of(), Answer.YES));
        for (SortedMap<String, ShownUnit> shown : List.of(new TreeMap<String, ShownUnit>(), strangers)) {
            HostFacts facts = bench.facts(
                    VendorBench.firmware(Map.of("ZZZZ", bench.table(bench.signature()))),
                    bench.topology(),
                    bench.values(),
                    shown,
                    Map.of(),
                    BootOptions.DEFAULT);
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> vendor.describe(facts, bench.release()))
                    .satisfies(refusal -> assertThat(refusal).isNotInstanceOf(MalformedTableException.class))
                    .extracting(Throwable::getMessage)
                    .asString()
                    .isNotBlank();
        }
        assertThat(vendor.recognises(bench.facts())).isTrue();
    }

    @Test
    @Promise("describe-9")
    void aReleaseThatTheDriverIsNotBuiltForIsRefused(VendorBench bench) {
        IommuVendor vendor = bench.vendor();
        for (LinuxRelease release : VendorContract.releases()) {
            for (HostFacts facts : views(bench).values()) {
                Throwable thrown = catchThrowable(() -> vendor.describe(facts, release));
                if (vendor.supports(release)) {
                    assertThat(thrown).as("describe under %s", release).isNull();
                } else {
                    assertThat(thrown)
                            .as("describe under %s", release)
                            .isInstanceOf(IllegalArgumentException.class)
                            .isNotInstanceOf(MalformedTableException.class);
                }
            }
        }
    }
}
