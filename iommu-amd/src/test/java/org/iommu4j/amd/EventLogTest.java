// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.DomainType;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.Prot;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The ring of events. */
class EventLogTest {
    private static final int ENTRIES = 512;
    private static final int HEAD = 0x2010 / 8;
    private static final int TAIL = 0x2018 / 8;
    private static final long FAULT = 0x2000_0000_0000_0000L;

    private final TestPlatform platform = new TestPlatform();
    private final EventLog log = new EventLog(platform.memory, platform.frames, platform.unit);
    private final List<Long> addresses = new ArrayList<>();
    private long base;

    private void program() {
        log.program();
        base = platform.unit.registers[2] & 0x000f_ffff_ffff_f000L;
    }

    /** Does what the unit does. */
    private void happen(long address) {
        happen(FAULT, address);
    }

    private void happen(long word0, long address) {
        long tail = platform.unit.registers[TAIL];
        platform.memory.store(base + tail + 8, address);
        platform.memory.store(base + tail, word0);
        platform.unit.registers[TAIL] = (tail + 16) % (ENTRIES * 16);
    }

    private List<Long> read() {
        addresses.clear();
        log.read((word0, word1) -> addresses.add(word1));
        return addresses;
    }

    @Test
    void eventsAreTakenOnceInTheirOrderRoundAndRoundTheRing() {
        program();
        assertThat(platform.unit.registers[2] >>> 56).as("512 events").isEqualTo(9);
        long address = 0;
        for (int batch = 1; batch < 60; batch++) {
            List<Long> expected = new ArrayList<>();
            for (int i = 0; i < batch; i++) {
                expected.add(address);
                happen(address++);
            }
            assertThat(read()).isEqualTo(expected);
            assertThat(platform.unit.registers[HEAD]).isEqualTo(platform.unit.registers[TAIL]);
            assertThat(read()).isEmpty();
        }
        assertThat(address).isGreaterThan(3 * ENTRIES);
    }

    @Test
    void aFullLogIsReadWhole() {
        program();
        for (int i = 0; i < ENTRIES - 1; i++) {
            happen(i);
        }
        assertThat(read()).hasSize(ENTRIES - 1).startsWith(0L, 1L).endsWith(510L);
    }

    @Test
    void anEntryThatIsNotThereYetIsTakenTheNextTime() {
        program();
        happen(1);
        platform.unit.registers[TAIL] = 32;
        assertThat(read()).containsExactly(1L);
        assertThat(platform.unit.registers[HEAD]).isEqualTo(16);
        platform.unit.registers[TAIL] = 16;
        happen(2);
        assertThat(read()).containsExactly(2L);
    }

    @ParameterizedTest
    @ValueSource(longs = {-1L, 0x2000, 0x8, 0x1_0000_0000L})
    void aTailThatTheRingDoesNotHaveMeansNoEvents(long tail) {
        program();
        happen(1);
        platform.unit.registers[TAIL] = tail;
        assertThat(read()).isEmpty();
        assertThat(platform.unit.registers[HEAD]).isZero();
    }

    @Test
    void anOverflowedLogIsStoppedClearedMovedToItsStartAndStartedAgain() {
        AmdIommu iommu = platform.open();
        base = platform.unit.registers[2] & 0x000f_ffff_ffff_f000L;
        for (int i = 0; i < ENTRIES - 1; i++) {
            happen(i);
        }
        platform.unit.registers[0x2020 / 8] = 1;
        long control = platform.unit.registers[0x18 / 8];
        platform.unit.logged = new ArrayList<>();
        assertThat(iommu.takeFaults()).hasSize(ENTRIES - 1);
        assertThat(platform.unit.logged)
                .containsExactly(
                        "2010 = 1ff0",
                        String.format("18 = %x", control & ~4),
                        "2020 = 1",
                        String.format("10 = %x", 9L << 56 | base),
                        "2010 = 0",
                        "2018 = 0",
                        String.format("18 = %x", control));
        assertThat(iommu.faultOverflows()).isOne();
        happen(0x7000);
        assertThat(iommu.takeFaults())
                .singleElement()
                .satisfies(fault -> assertThat(fault.address()).isEqualTo(0x7000));
        assertThat(iommu.faultOverflows()).as("once").isOne();
    }

    @ParameterizedTest
    @CsvSource({
        "5, ; it reported ILLEGAL_COMMAND_ERROR command at 0x7000",
        "6, ; it reported COMMAND_HARDWARE_ERROR memory at 0x7000: type 0",
        "7, ; it reported IOTLB_INV_TIMEOUT device 0000:01:00.0 command at 0x7000",
        "3, ''", // DEV_TAB_HARDWARE_ERROR
        "4, ''", // PAGE_TAB_HARDWARE_ERROR
        "10, ''", // EVENT_COUNTER_ZERO
        "13, ''", // RMP_PAGE_FAULT
        "14, ''" // RMP_HW_ERROR
    })
    void aRefusalNamesAnErrorOfCommandsAndNoneThatADeviceCaused(long code, String reported) {
        Opened opened = new Opened();
        happen(code << 60 | 0x100, 0x7000);
        assertThatThrownBy(opened::forget)
                .hasMessage("ETIMEDOUT: sync: ivhd0 did not complete an invalidation" + reported);
    }

    @Test
    void aRefusalNamesNoErrorThatWasTakenBefore() {
        Opened opened = new Opened();
        happen(7L << 60 | 0x100, 0x7000);
        assertThat(opened.iommu.takeFaults()).isEmpty();
        assertThatThrownBy(opened::forget).hasMessage("ETIMEDOUT: sync: ivhd0 did not complete an invalidation");
    }

    /** A driver whose unit has something to forget, and does not come back from it. */
    private final class Opened {
        final AmdIommu iommu = platform.open();
        private final IommuDomain domain;

        Opened() {
            base = platform.unit.registers[2] & 0x000f_ffff_ffff_f000L;
            IommuDevice device = iommu.probe(platform.function(0, 1, 0, 0)).orElseThrow();
            domain = iommu.allocate(DomainType.UNMANAGED, device);
            domain.attach(device);
            domain.map(0x1000, 0x5000, 4096, 1, Prot.READ);
        }

        void forget() {
            platform.stuck = true;
            IotlbGather gather = new IotlbGather();
            domain.unmap(0x1000, 4096, gather);
            domain.sync(gather);
        }
    }
}
