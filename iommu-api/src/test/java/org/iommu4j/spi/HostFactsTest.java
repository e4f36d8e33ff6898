// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.spi;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class HostFactsTest {
    private static HostFacts showing(Answer inUse, String... names) {
        TreeMap<String, ShownUnit> units = new TreeMap<>();
        for (String name : names) {
            units.put(name, new ShownUnit(OptionalLong.empty(), Map.of(), inUse));
        }
        return new HostFacts(signature -> Optional.empty(), List::of, RegisterValues.UNKNOWN, units, Map.of());
    }

    /** In the order that is expected. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "dmar0 dmar2 dmar10 ivhd0 ivhd3 ivhd10",
                "smmu3.0x0000000009050000 smmu3.0x000000000a050000 smmu3.0x0000000010050000",
                "smmu3.0x9050000 smmu3.0x0a000000 smmu3.0x10000000",
                "riscv-iommu@0000:00:09.0 riscv-iommu@0000:00:0a.0 riscv-iommu@0000:00:10.0 riscv-iommu@0000:0a:00.0",
                "virtio1 virtio9 virtio10 virtio-iommu",
                "unit unit0 unit00 unit01 unit1 unit1.5 units",
                "x9 xa x0b x:"
            })
    void unitsAreInTheOrderOfTheNumbersInTheirNames(String expected) {
        List<String> names = Arrays.asList(expected.split(" ", -1));

        assertThat(showing(Answer.YES, names.toArray(String[]::new))
                        .shownUnits()
                        .keySet())
                .containsExactlyElementsOf(names);
    }

    @Test
    void aVendorTellsWhichNamesAreItsOwn() {
        HostFacts facts = showing(Answer.YES, "smmu3.0x0000000009050000", "virtio0");

        assertThat(facts.showsUnit(name -> name.startsWith("smmu3.0x"))).isTrue();
        assertThat(facts.showsUseOf(name -> name.startsWith("smmu3.0x"))).isTrue();
        assertThat(facts.showsUnit(name -> HostFacts.isNamed(name, "dmar"))).isFalse();
        assertThat(facts.showsUseOf(name -> HostFacts.isNamed(name, "dmar"))).isFalse();
    }

    @Test
    void aUnitThatIsShownNeedNotBeInUse() {
        HostFacts facts = showing(Answer.NO, "virtio0");

        assertThat(facts.showsUnit("virtio0"::equals)).isTrue();
        assertThat(facts.showsUseOf("virtio0"::equals)).isFalse();
    }
}
