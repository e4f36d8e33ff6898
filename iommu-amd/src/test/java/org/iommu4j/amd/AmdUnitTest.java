// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.DomainType;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A hand-made unit that is turned on, asked for its log and turned off. */
class AmdUnitTest {
    private static final int CONTROL = 0x18;

    private final TestPlatform platform = new TestPlatform();

    /** Bits of the IVHD's flags and of the control register: HtTunEn, PassPW, ResPassPW, Isoc. */
    @ParameterizedTest
    @CsvSource({"1, 0x2", "2, 0x100", "4, 0x200", "8, 0x800", "15, 0xb02", "0, 0"})
    void flagsOfFirmwaresBlockGoToTheControlRegister(int flags, String control) {
        platform.ivrs[48 + 1] = (byte) flags;
        TestPlatform.repair(platform.ivrs);
        platform.unit.registers[CONTROL / 8] = 0xb02 ^ Long.decode(control);
        platform.open();
        assertThat(platform.unit.registers[CONTROL / 8] & 0xb02).isEqualTo(Long.decode(control));
    }

    @Test
    void translationIsTurnedOnWhenAllElseIs() {
        platform.unit.logged = new ArrayList<>();
        platform.open();
        List<Long> values = platform.unit.logged.stream()
                .filter(write -> write.startsWith("18 = "))
                .map(write -> Long.parseLong(write.substring(5), 16))
                .toList();
        long last = values.get(values.size() - 1);
        // IommuEn, EventLogEn, Coherent, CmdBufEn.
        assertThat(last & 0x1405).isEqualTo(0x1405);
        assertThat(values.get(values.size() - 2)).isEqualTo(last & ~1L);
        assertThat(values.subList(0, values.size() - 1))
                .allSatisfy(value -> assertThat(value & 1).isZero());
    }

    @Test
    void aUnitThatIsGoneHasNoFaultsAndNoOverflow() {
        AmdIommu iommu = platform.open();
        platform.gone = true;
        platform.unit.logged = new ArrayList<>();
        assertThat(iommu.takeFaults()).isEmpty();
        assertThat(iommu.faultOverflows()).isZero();
        assertThat(platform.unit.logged).isEmpty();
    }

    @Test
    void unitsWithLogsOfPageRequestsThatAreNotOpenedLeaveNoFrames() {
        platform.withSecondUnit();
        // PPRSup, GTSup, GLXSup 2, PASmax 15, GIoSup.
        platform.efr |= 1 << 1 | 1 << 4 | 2 << 14 | 15L << 32 | 1L << 48;
        int n = 1;
        for (; ; n++) {
            platform.failNth.arm(n);
            try {
                platform.open();
                break;
            } catch (IommuException e) {
                assertThat(platform.failNth.fired()).isTrue();
                platform.failNth.disarm();
                assertThat(platform.frames.inUse()).as("failure %d", n).isEqualTo(0);
            }
        }
        assertThat(n).as("failures injected").isGreaterThan(10);
    }

    @Test
    void aDriverIsClosedOnce() {
        AmdIommu iommu = platform.open();
        iommu.close();
        platform.unit.logged = new ArrayList<>();
        iommu.close();
        assertThat(platform.unit.logged).isEmpty();
        assertThat(platform.frames.inUse()).isZero();
    }

    @Test
    void aDomainThatFindsNoMemoryLeavesItsIdFree() {
        AmdIommu iommu = platform.open();
        IommuDevice device = iommu.probe(platform.function(0, 1, 0, 0)).orElseThrow();
        platform.failNth.arm(1);
        assertThatThrownBy(() -> iommu.allocate(DomainType.DMA, device)).isInstanceOf(IommuException.class);
        platform.failNth.disarm();
        assertThat(iommu.state().domainIds().inUse()).isZero();
    }
}
