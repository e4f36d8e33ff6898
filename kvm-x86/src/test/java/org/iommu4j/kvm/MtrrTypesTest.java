// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.kvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.iommu4j.platform.MemoryType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** How an MTRR's, or a second-stage entry's, type and a PAT entry's combine, cell by cell. */
class MtrrTypesTest {
    /** Intel SDM volume 3, table 12-7: a row for each type of MTRR, a column for each of a PAT entry. */
    private static final String TABLE = """
            -   UC UC- WC WT WB WP
            UC  UC UC  WC UC UC UC
            WC  UC WC  WC UC WC UC
            WT  UC UC  WC WT WT WP
            WB  UC UC  WC WT WB WP
            WP  UC WC  WC WT WP WP
            """;

    private static MemoryType named(String name) {
        return MemoryType.valueOf(name.equals("UC-") ? "UC_MINUS" : name);
    }

    /** Returns the table's cells, each by the type of the MTRR and that of the PAT entry. */
    private static Map<List<MemoryType>, MemoryType> cells() {
        Map<List<MemoryType>, MemoryType> cells = new HashMap<>();
        List<String> lines = TABLE.lines().toList();
        String[] columns = lines.get(0).split(" +", -1);
        for (String line : lines.subList(1, lines.size())) {
            String[] row = line.split(" +", -1);
            for (int column = 1; column < columns.length; column++) {
                cells.put(List.of(named(row[0]), named(columns[column])), named(row[column]));
            }
        }
        return cells;
    }

    @Test
    void everyCellIsTheManuals() {
        Map<List<MemoryType>, MemoryType> cells = cells();
        assertThat(cells).hasSize(30);
        cells.forEach((types, effective) -> assertThat(MtrrTypes.combined(types.get(0), types.get(1)))
                .as("%s", types)
                .isEqualTo(effective));
    }

    @Test
    void anEntryWithoutIpatIsAsAnMtrrOfItsType() {
        Map<List<MemoryType>, MemoryType> cells = cells();
        for (GuestMemoryType entry : GuestMemoryType.values()) {
            MemoryType own = named(entry.toString()
                    .replace("GUEST_PAT+UC", "UC")
                    .replace("GUEST_PAT", "WB")
                    .replace("+IPAT", ""));
            for (MemoryType pat : MemoryType.values()) {
                assertThat(entry.effective(pat))
                        .as("%s, PAT %s", entry, pat)
                        .isEqualTo(entry.honoursGuestPat() ? cells.get(List.of(own, pat)) : own);
            }
        }
    }

    /** What hypervisors tell of the table for SVM: the host's type is write-back and keeps what the guest chose. */
    @ParameterizedTest
    @CsvSource({"WB, WB", "WT, WT", "WP, WP", "WC, WC", "UC, UC", "UC_MINUS, UC"})
    void onSvmRamHasTheGuestsType(MemoryType guest, MemoryType effective) {
        assertThat(GuestMemoryType.GUEST_PAT.effective(guest)).isEqualTo(effective);
    }

    @Test
    void anMtrrHasFiveTypesOfWhichEachHasItsEntry() {
        for (MemoryType type : MemoryType.values()) {
            if (type == MemoryType.UC_MINUS) {
                assertThatIllegalArgumentException().isThrownBy(() -> GuestMemoryType.of(type));
                assertThatIllegalArgumentException().isThrownBy(() -> MtrrTypes.encoding(type));
                assertThatIllegalArgumentException().isThrownBy(() -> MtrrTypes.combined(type, MemoryType.WB));
            } else {
                assertThat(MtrrTypes.has(type)).isTrue();
                assertThat(GuestMemoryType.of(type)).hasToString(type.toString());
            }
        }
        assertThat(MtrrTypes.has(MemoryType.UC_MINUS)).isFalse();
    }

    @ParameterizedTest
    @CsvSource({"UC, 0", "WC, 1", "WT, 4", "WP, 5", "WB, 6"})
    void theEncodingsAreThoseOfMtrrs(MemoryType type, int encoding) {
        assertThat(MtrrTypes.encoding(type)).isEqualTo(encoding);
    }
}
