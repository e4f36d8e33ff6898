// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import org.iommu4j.bits.Hex;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.platform.HardwareVirtualization;
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
 * Describes a host by its RIMT or device tree and by what Linux shows, without opening anything.
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
    private final @Nullable UnitMap map;
    private final Map<String, UnitDescription> units = new LinkedHashMap<>();
    private final List<String> warnings = new ArrayList<>();

    private RiscvDescription(HostFacts facts, @Nullable UnitMap map) {
        this.facts = facts;
        this.map = map;
    }

    /**
     * Describes; see {@link org.iommu4j.spi.IommuVendor#describe}.
     *
     * @param map what firmware has, empty where it is not known
     */
    static HostDescription describe(HostFacts facts, Optional<UnitMap> map) {
        return new RiscvDescription(facts, map.orElse(null)).describe();
    }

    private HostDescription describe() {
        if (map != null) {
            warnings.addAll(map.warnings());
            for (UnitPlace place : map.places()) {
                place.unused().ifPresent(why -> warnings.add(place.name() + " is not used: " + why));
                units.put(place.name(), unit(map, place));
            }
        }
        facts.shownUnits().forEach((name, shown) -> {
            if (RiscvNames.isUnit(name) && !units.containsKey(name)) {
                if (map != null) {
                    warnings.add(name + ": Linux shows it, the " + map.source() + " does not have it");
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

    private UnitDescription unit(UnitMap map, UnitPlace place) {
        ShownUnit shown = facts.shownUnits().get(place.name());
        OptionalLong base = shown != null && shown.registerBase().isPresent() ? shown.registerBase() : place.base();
        if (!base.equals(place.base())) {
            warnings.add(place.name() + ": Linux shows registers at " + Hex.of(base.orElse(0)) + ", the " + map.source()
                    + " has other ones");
        }
        return unit(place.name(), place.segment(), base, Answer.NO, map.scope(place), shown);
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

    // --- devices ---

    private DeviceDescription device(PciFunction function) {
        PciAddress address = function.address();
        Optional<UnitIds> behind = map == null ? Optional.empty() : map.behind(address);
        String link = facts.unitLinks().get(address);
        if (link != null && units.containsKey(link)) {
            if (map != null
                    && !behind.map(its -> its.place().name().equals(link)).orElse(false)) {
                warnings.add(address + ": Linux has it behind " + link + ", the " + map.source() + " behind "
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
                    new Reason("which unit translates for it is not known", "no RIMT, no device tree and no link"));
        }
        if (behind.isEmpty()) {
            return device(
                    address,
                    Answer.NO,
                    null,
                    new Reason(
                            "no mapping of its root complex leads to a unit",
                            map.source() + "; Linux rimt_iommu_configure_id, of_iommu_configure"));
        }
        UnitPlace place = behind.get().place();
        if (place.unused().isPresent()) {
            boolean unknown = place.base().isEmpty()
                    && place.function()
                            .filter(its -> facts.topology().function(its).isEmpty())
                            .isPresent();
            return device(
                    address,
                    unknown ? Answer.UNKNOWN : Answer.NO,
                    null,
                    new Reason(
                            "its unit " + place.name() + " is not used: "
                                    + place.unused().get(),
                            map.source()));
        }
        for (long id : behind.get().ids()) {
            if (id >>> DeviceDirectory.MOST_ID_BITS != 0) {
                return device(
                        address,
                        Answer.NO,
                        null,
                        new Reason(
                                "its id " + Hex.of(id) + " at " + place.name() + " has more than 24 bits",
                                map.source() + "; Linux riscv_iommu_get_dc"));
            }
        }
        return device(
                address,
                Answer.YES,
                place.name(),
                new Reason(
                        "it is behind " + place.name() + " as id "
                                + Hex.of(behind.get().ids().get(0)),
                        map.source()));
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
