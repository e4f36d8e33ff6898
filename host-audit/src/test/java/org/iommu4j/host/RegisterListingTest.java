// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.OptionalLong;
import org.iommu4j.spi.Answer;
import org.junit.jupiter.api.Test;

class RegisterListingTest {
    private static final String UNIT = """
            IOMMU: dmar%d Register Base Address: fed9%d000
            Name\t\t\tOffset\t\tContents
            VER             \t0x00\t\t0x0000000000000010
            CAP             \t0x08\t\t0x00d2008c40660462
            ECAP            \t0x10\t\t0x0000000000f050da
            GSTS            \t0x1c\t\t0x00000000%s
            IQT             \t0x88\t\t0x0000000000000350

            """;

    private static HostEvidence read(String text) {
        EvidenceBuilder host = HostEvidence.builder("host");
        assertThat(RegisterListing.read(text.lines().toList(), new Source("regset.txt", Rank.SYSFS), host))
                .isPositive();
        return host.build();
    }

    @Test
    void unitsHaveTheirBasesAndTheRegistersThatTellTheirAbilities() {
        HostEvidence host = read(UNIT.formatted(0, 0, "c7000000") + UNIT.formatted(1, 1, "c7000000"));
        assertThat(host.units().keySet()).containsExactly("dmar0", "dmar1");
        UnitEvidence unit = host.units().get("dmar1");
        assertThat(unit.registerBase()).isEqualTo(OptionalLong.of(0xfed9_1000L));
        assertThat(unit.registers().keySet()).containsExactly("CAP", "ECAP", "VER");
        assertThat(unit.registers().get("ECAP").value()).isEqualTo(0xf050daL);
        assertThat(unit.registers().get("VER").value()).isEqualTo(0x10);
    }

    @Test
    void globalStatusTellsWhetherDmaIsTranslatedAndInterruptsAreRemapped() {
        HostEvidence on = read(UNIT.formatted(0, 0, "c7000000") + UNIT.formatted(1, 1, "c7000000"));
        assertThat(on.iommuInUse()).isEqualTo(Answer.YES);
        assertThat(on.interruptRemapping()).isEqualTo(Answer.YES);
        HostEvidence off = read(UNIT.formatted(0, 0, "00000000"));
        assertThat(off.iommuInUse()).isEqualTo(Answer.NO);
        assertThat(off.interruptRemapping()).isEqualTo(Answer.NO);
        HostEvidence mixed = read(UNIT.formatted(0, 0, "47000000") + UNIT.formatted(1, 1, "c5000000"));
        assertThat(mixed.iommuInUse()).isEqualTo(Answer.YES);
        assertThat(mixed.interruptRemapping()).isEqualTo(Answer.UNKNOWN);
        HostEvidence cut = read(UNIT.formatted(0, 0, "00000000") + "IOMMU: dmar1 Register Base Address: fed91000\n");
        assertThat(cut.iommuInUse()).isEqualTo(Answer.UNKNOWN);
    }
}
