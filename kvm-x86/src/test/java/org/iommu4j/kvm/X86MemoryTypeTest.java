// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.kvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.iommu4j.platform.MemoryType;
import org.junit.jupiter.api.Test;

/** How an MTRR's, or a second-stage entry's, type and a PAT entry's combine, cell by cell. */
class X86MemoryTypeTest {
    /** Intel SDM volume 3, table 12-7: a row for each type of MTRR, a column for each of a PAT entry. */
    private static final String TABLE = """
            -   UC UC- WC WT WB WP
            UC  UC UC  WC UC UC UC
            WC  UC WC  WC UC WC UC
            WT  UC UC  WC WT WT WP
            WB  UC UC  WC WT WB WP
            WP  UC WC  WC WT WP WP
            """;

    private static X86MemoryType named(String name) {
        return List.of(X86MemoryType.values()).stream()
                .filter(type -> type.toString().equals(name))
                .findFirst()
                .orElseThrow();
    }

    /** Returns the table's cells, each by the type of the MTRR and that of the PAT entry. */
    private static Map<List<X86MemoryType>, X86MemoryType> cells() {
        Map<List<X86MemoryType>, X86MemoryType> cells = new HashMap<>();
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
        Map<List<X86MemoryType>, X86MemoryType> cells = cells();
        assertThat(cells).hasSize(30);
        cells.forEach((types, effective) -> assertThat(types.get(0).combinedWith(types.get(1)))
                .as("%s", types)
                .isEqualTo(effective));
    }

    @Test
    void anEntryWithoutIpatIsAsAnMtrrOfItsType() {
        Map<List<X86MemoryType>, X86MemoryType> cells = cells();
        for (GuestMemoryType entry : GuestMemoryType.values()) {
            X86MemoryType own = named(entry.toString()
                    .replace("GUEST_PAT+UC", "UC")
                    .replace("GUEST_PAT", "WB")
                    .replace("+IPAT", ""));
            for (X86MemoryType pat : X86MemoryType.values()) {
                assertThat(entry.effective(pat))
                        .as("%s, PAT %s", entry, pat)
                        .isEqualTo(entry.honoursGuestPat() ? cells.get(List.of(own, pat)) : own);
            }
        }
    }

    @Test
    void anMtrrHasFiveTypesOfWhichEachHasItsEntry() {
        assertThat(GuestMemoryType.of(X86MemoryType.WC)).isEqualTo(GuestMemoryType.WC);
        for (X86MemoryType type : X86MemoryType.values()) {
            if (type.isOfMtrr()) {
                assertThat(GuestMemoryType.of(type)).hasToString(type.toString());
            } else {
                assertThatThrownBy(() -> GuestMemoryType.of(type)).isInstanceOf(IllegalArgumentException.class);
                assertThatThrownBy(() -> type.combinedWith(X86MemoryType.WB)).isInstanceOf(IllegalStateException.class);
            }
        }
    }

    @Test
    void theEncodingsAreThoseOfPatEntries() {
        assertThat(List.of(X86MemoryType.values()).stream().map(X86MemoryType::encoding))
                .containsExactly(0, 1, 4, 5, 6, 7);
    }

    @Test
    void eachTypeIsThatOfTheSameNameOnThePlatform() {
        for (X86MemoryType type : X86MemoryType.values()) {
            assertThat(type.onPlatform().name()).isEqualTo(type.name());
        }
        for (MemoryType type : MemoryType.values()) {
            assertThat(X86MemoryType.of(type).name()).isEqualTo(type.name());
        }
    }
}
