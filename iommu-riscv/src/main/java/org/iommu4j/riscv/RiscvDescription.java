// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import org.iommu4j.LinuxRelease;
import org.iommu4j.bits.Hex;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.riscv.acpi.IdMapping;
import org.iommu4j.riscv.acpi.Rimt;
import org.iommu4j.riscv.acpi.RimtNode;
import org.iommu4j.riscv.reg.Capabilities;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.CoherencyRule;
import org.iommu4j.spi.DeviceDescription;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.HostFacts;
import org.iommu4j.spi.Reason;
import org.iommu4j.spi.ScopeEntry;
import org.iommu4j.spi.ShownUnit;
import org.iommu4j.spi.UnitAbilities;
import org.iommu4j.spi.UnitDescription;
import org.jspecify.annotations.Nullable;

/**
 * Describes a host by its RIMT and by what Linux shows, without opening anything.
 *
 * <p>The answer about no-snoop never depends on the host: nothing in the unit's structures blocks it, and the driver
 * has no {@code enforce_cache_coherency}.
 */
final class RiscvDescription {
    private static final Reason NO_CONTROL = new Reason(
            "no unit blocks no-snoop: neither device contexts nor page tables have a bit for it, and the driver has no"
                    + " enforce_cache_coherency",
            "RISC-V IOMMU 1.0, Data structures; Linux riscv_iommu_ops");

    private static final Reason REFUSAL = new Reason(
            "VFIO takes no device: the driver has no capable, so it does not say that DMA is coherent"
                    + " (IOMMU_CAP_CACHE_COHERENCY)",
            "Linux riscv_iommu_ops, vfio_register_group_dev");

    private final HostFacts facts;
    private final @Nullable Rimt rimt;
    private final @Nullable UnitMap map;
    private final Map<String, UnitDescription> units = new LinkedHashMap<>();
    private final List<String> warnings = new ArrayList<>();

    private RiscvDescription(HostFacts facts) {
        this.facts = facts;
        Optional<byte[]> table = facts.firmware().table(Rimt.SIGNATURE);
        this.rimt = table.map(Rimt::parse).orElse(null);
        this.map = rimt == null ? null : new UnitMap(rimt, facts.topology());
    }

    /**
     * Describes; see {@link org.iommu4j.spi.IommuVendor#describe}.
     *
     * @throws IllegalArgumentException when there is no driver for the release
     * @throws org.iommu4j.platform.MalformedTableException when RIMT can't be read
     */
    static HostDescription describe(HostFacts facts, LinuxRelease release) {
        if (!RiscvRules.areBuiltFor(release)) {
            throw new IllegalArgumentException("Linux " + release + " has no RISC-V IOMMU driver that reads RIMT, or no"
                    + " rules are built for it");
        }
        return new RiscvDescription(facts).describe();
    }

    private HostDescription describe() {
        if (rimt != null) {
            warnings.addAll(rimt.warnings());
            if (!rimt.checksumValid()) {
                warnings.add(Rimt.SIGNATURE + ": the checksum is wrong");
            }
        }
        if (map != null) {
            for (UnitMap.Place place : map.places()) {
                place.unused().ifPresent(why -> warnings.add(place.name() + " is not used: " + why));
                units.put(place.name(), unit(place));
            }
        }
        facts.shownUnits().forEach((name, shown) -> {
            if (RiscvNames.isUnit(name) && !units.containsKey(name)) {
                if (map != null) {
                    warnings.add(name + ": Linux shows it, " + Rimt.SIGNATURE + " does not have it");
                }
                units.put(
                        name, unit(name, OptionalInt.empty(), shown.registerBase(), Answer.UNKNOWN, List.of(), shown));
            }
        });
        List<DeviceDescription> devices =
                facts.topology().functions().stream().map(this::device).toList();
        return new HostDescription(
                RiscvNames.VENDOR,
                CoherencyRule.NEVER,
                Answer.UNKNOWN,
                List.copyOf(units.values()),
                devices,
                List.of(),
                warnings,
                HardwareVirtualization.NONE,
                null,
                REFUSAL);
    }

    // --- units ---

    private UnitDescription unit(UnitMap.Place place) {
        ShownUnit shown = facts.shownUnits().get(place.name());
        OptionalLong base = shown != null && shown.registerBase().isPresent() ? shown.registerBase() : place.base();
        if (!base.equals(place.base())) {
            warnings.add(place.name() + ": Linux shows registers at " + Hex.of(base.orElse(0)) + ", " + Rimt.SIGNATURE
                    + " has other ones");
        }
        return unit(place.name(), place.segment(), base, Answer.NO, scope(place.node()), shown);
    }

    private UnitDescription unit(
            String name,
            OptionalInt segment,
            OptionalLong base,
            Answer includeAll,
            List<ScopeEntry> scope,
            @Nullable ShownUnit shown) {
        Long read = shown == null ? null : shown.registers().get(Capabilities.NAME);
        long value = read != null
                ? read
                : facts.registers().value(name, base, Capabilities.NAME).orElse(0);
        boolean known = Capabilities.makesSense(value);
        return new UnitDescription(
                name,
                segment,
                base,
                includeAll,
                scope,
                known ? abilities(value) : UnitAbilities.UNKNOWN.blockingNoSnoop(Answer.NO),
                known ? Map.of(Capabilities.NAME, value) : Map.of(),
                known ? Capabilities.fields(value) : Map.of());
    }

    private static UnitAbilities abilities(long value) {
        int firstStage = Capabilities.levels(value);
        int secondStage = Capabilities.SV57X4.isSet(value)
                ? 5
                : Capabilities.SV48X4.isSet(value) ? 4 : Capabilities.SV39X4.isSet(value) ? 3 : 0;
        long sizes = secondStage == 0 ? 0 : 1L << 16;
        for (int level = 1; level <= secondStage; level++) {
            sizes |= 1L << PageTable.shift(level);
        }
        boolean pasids =
                Capabilities.PD8.isSet(value) || Capabilities.PD17.isSet(value) || Capabilities.PD20.isSet(value);
        return new UnitAbilities(
                Answer.NO,
                Answer.UNKNOWN,
                Answer.of(Capabilities.MSI_FLAT.isSet(value)),
                Answer.of(firstStage != 0),
                Answer.of(secondStage != 0),
                Answer.of(firstStage != 0 && secondStage != 0),
                Answer.of(pasids),
                Answer.of(Capabilities.AMO_HWAD.isSet(value)),
                sizes,
                secondStage,
                firstStage == 0 ? 0 : PageTable.shift(firstStage + 1));
    }

    private List<ScopeEntry> scope(RimtNode.Unit unit) {
        List<ScopeEntry> scope = new ArrayList<>();
        if (rimt == null) {
            return scope;
        }
        for (RimtNode node : rimt.nodes().values()) {
            for (IdMapping mapping : node.mappings()) {
                if (mapping.destination() != unit.offset()) {
                    continue;
                }
                if (node instanceof RimtNode.RootComplex complex) {
                    long last = Math.min(mapping.sourceBase() + Math.max(mapping.count() - 1, 0), 0xffff);
                    scope.add(new ScopeEntry(
                            ScopeEntry.Kind.FUNCTION,
                            "",
                            PciAddress.of(complex.segment(), (int) Math.min(mapping.sourceBase(), 0xffff)) + " to "
                                    + PciAddress.of(complex.segment(), (int) last)));
                } else if (node instanceof RimtNode.PlatformDevice device) {
                    scope.add(new ScopeEntry(
                            ScopeEntry.Kind.NAMESPACE_DEVICE,
                            device.path(),
                            "device id " + Hex.of(mapping.destinationBase())));
                }
            }
        }
        return scope;
    }

    // --- devices ---

    private DeviceDescription device(PciFunction function) {
        PciAddress address = function.address();
        Optional<UnitMap.Behind> behind = map == null ? Optional.empty() : map.behind(address);
        String link = facts.unitLinks().get(address);
        if (link != null && units.containsKey(link)) {
            if (map != null
                    && !behind.map(its -> its.place().name().equals(link)).orElse(false)) {
                warnings.add(address + ": Linux has it behind " + link + ", " + Rimt.SIGNATURE + " behind "
                        + behind.map(its -> its.place().name()).orElse("none"));
            }
            return device(address, Answer.YES, link, new Reason("it is behind " + link, "Linux's link to its iommu"));
        }
        if (map == null && facts.groups().members().contains(address)) {
            String only = units.size() == 1 ? units.keySet().iterator().next() : null;
            return device(address, Answer.YES, only, new Reason("Linux has it in a group", "Linux's groups"));
        }
        if (map == null) {
            return device(
                    address,
                    Answer.UNKNOWN,
                    null,
                    new Reason("which unit translates for it is not known", "no RIMT and no link"));
        }
        if (behind.isEmpty()) {
            return device(
                    address,
                    Answer.NO,
                    null,
                    new Reason(
                            "no mapping of its root complex leads to a unit", "RIMT; Linux rimt_iommu_configure_id"));
        }
        UnitMap.Place place = behind.get().place();
        if (place.unused().isPresent()) {
            boolean unknown = place.node().isPciFunction()
                    && place.base().isEmpty()
                    && facts.topology()
                            .function(PciAddress.of(
                                    place.node().segment(), place.node().requesterId()))
                            .isEmpty();
            return device(
                    address,
                    unknown ? Answer.UNKNOWN : Answer.NO,
                    null,
                    new Reason(
                            "its unit " + place.name() + " is not used: "
                                    + place.unused().get(),
                            "RIMT"));
        }
        for (long id : behind.get().ids()) {
            if (id >>> DeviceDirectory.MOST_ID_BITS != 0) {
                return device(
                        address,
                        Answer.NO,
                        null,
                        new Reason(
                                "its id " + Hex.of(id) + " at " + place.name() + " has more than 24 bits",
                                "RIMT; Linux riscv_iommu_get_dc"));
            }
        }
        return device(
                address,
                Answer.YES,
                place.name(),
                new Reason(
                        "it is behind " + place.name() + " as id "
                                + Hex.of(behind.get().ids().get(0)),
                        "RIMT"));
    }

    private DeviceDescription device(PciAddress address, Answer translated, @Nullable String unit, Reason place) {
        List<String> candidates =
                unit != null ? List.of(unit) : translated == Answer.NO ? List.of() : List.copyOf(units.keySet());
        return new DeviceDescription(
                address,
                translated,
                unit,
                candidates,
                Answer.NO,
                List.of(NO_CONTROL, place),
                map == null ? null : RiscvDevice.RESERVED_REGIONS,
                Answer.of(RiscvDevice.ISOLATED_MSI));
    }
}
