// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class ProseTest {
    private static final String COMMAND = "readlink /sys/bus/pci/devices/0000:01:00.0/iommu_group";

    @Test
    void wordsGoOnBelowTheStart() {
        assertThat(Prose.wrap("  - ", "one two three four five six seven eight nine", 40))
                .isEqualTo("  - one two three four five six seven\n    eight nine");
    }

    @Test
    void aLineIsUsedToItsLastColumn() {
        assertThat(Prose.wrap("", "x".repeat(19) + " " + "y".repeat(20), 40).lines())
                .hasSize(1);
        assertThat(Prose.wrap("", "x".repeat(20) + " " + "y".repeat(20), 40).lines())
                .containsExactly("x".repeat(20), "    " + "y".repeat(20));
    }

    @Test
    void aCommandStaysInOneLineHoweverLong() {
        assertThat(Prose.wrap("  - ", "its group is unknown" + Headline.SETTLE + COMMAND, 40)
                        .lines())
                .containsExactly("  - its group is unknown. Settle it:", "    " + COMMAND);
        assertThat(Prose.wrap("  label  ", "", COMMAND, 40).lines()).containsExactly("  label  " + COMMAND);
        assertThat(Prose.wrap("  - ", "it is unknown" + Headline.SETTLE + "uname -r", 40))
                .isEqualTo("  - it is unknown. Settle it: uname -r");
    }

    @Test
    void anOptionToPasteIsNotCutButAnyOtherLongWordIs() {
        String option = "vfio-pci.ids=" + "10de:2484,".repeat(5);
        assertThat(Prose.wrap("", "use " + option, 40).lines()).containsExactly("use", "    " + option);
        assertThat(Prose.wrap("", "use " + "z".repeat(50), 40).lines())
                .containsExactly("use", "    " + "z".repeat(34) + "..");
    }
}
