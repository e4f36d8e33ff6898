// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class ColumnsTest {
    private static final List<String[]> ROWS = List.of(
            new String[] {"unit", "walk", "driver", "device"},
            new String[] {"dmar0", "not coherent", "snd_hda_intel", "a very long name of a device"});

    @Test
    void aTableThatFitsIsAligned() {
        assertThat(Columns.of(ROWS, 80, 2))
                .containsExactly(
                        List.of("  unit   walk          driver         device"),
                        List.of("  dmar0  not coherent  snd_hda_intel  a very long name of a device"));
    }

    @Test
    void whatIsTooWideIsFoldedBetweenWords() {
        assertThat(Columns.of(ROWS, 50, 2))
                .containsExactly(
                        List.of("  unit   walk      driver         device"),
                        List.of(
                                "  dmar0  not       snd_hda_intel  a very long name",
                                "         coherent                 of a device"));
    }

    @Test
    void whatDoesNotFitIntoTheLinesIsCut() {
        assertThat(Columns.of(ROWS, 40, 1))
                .containsExactly(
                        List.of("  unit   walk        driver     device"),
                        List.of("  dmar0  not cohe..  snd_hda..  a very.."));
        assertThat(Columns.of(ROWS, 50, 1).get(1))
                .containsExactly("  dmar0  not coherent  snd_hda_intel  a very lon..");
    }
}
