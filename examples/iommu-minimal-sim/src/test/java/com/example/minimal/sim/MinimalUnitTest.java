// SPDX-License-Identifier: Apache-2.0
package com.example.minimal.sim;

import static org.assertj.core.api.Assertions.assertThat;

import org.iommu4j.platform.SystemMemory;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The unit by its manual: tables are written by hand, and no driver is involved. */
class MinimalUnitTest {
    private static final int REQUESTER = 0x0100;
    private static final int PASSING = 0x0200;
    private static final long DEVICES = 0x100_0000;
    private static final long TOP = 0x20_0000;
    private static final long LOW = 0x20_4000;
    private static final long ADDRESS = 0x4060_7008L;

    private final MachineFactory factory = MachineFactory.load();
    private final Machine machine = factory.createFlat(factory.named("minimal"));
    private final TranslationUnit unit = machine.units().get(0);
    private final SystemMemory memory = machine.memory(0);

    @BeforeEach
    void turnOnWithOnePage() {
        memory.store(DEVICES + REQUESTER * 8, TOP | 2);
        memory.store(DEVICES + PASSING * 8, 1);
        memory.store(TOP + (ADDRESS >>> 21) * 8, LOW | 1);
        memory.store(LOW + 7 * 8, 0x55_5000 | 1);
        unit.writeRegister64(0x08, DEVICES);
        flush();
    }

    private void flush() {
        unit.writeRegister64(0x10, 1);
        assertThat(unit.readRegister64(0x10)).as("before a step").isOne();
        assertThat(unit.step()).isTrue();
        assertThat(unit.readRegister64(0x10)).isZero();
        assertThat(unit.step()).isFalse();
    }

    private long read(int requester, long address) {
        return unit.translate(requester, TranslationUnit.NO_PASID, address, RequestFlags.READ);
    }

    @Test
    void aReadIsTranslatedAndSnooped() {
        assertThat(read(REQUESTER, ADDRESS)).isEqualTo(Translation.to(0x55_5008, true));
    }

    @Test
    void addressesPassForADeviceThatMayAndForAllWithoutADeviceTable() {
        assertThat(read(PASSING, 1L << 40)).isEqualTo(Translation.to(1L << 40, false));
        unit.writeRegister64(0x08, 0);
        assertThat(read(REQUESTER, ADDRESS)).isEqualTo(Translation.to(ADDRESS, false));
    }

    @Test
    void eachRefusalHasItsReason() {
        memory.store(LOW + 8 * 8, 0x55_5000 | 1L << 60 | 1);
        for (int turn = 0; turn < 2; turn++) {
            assertThat(read(REQUESTER + 1, ADDRESS)).isEqualTo(Translation.fault(1));
            assertThat(read(REQUESTER | 1 << 16, ADDRESS)).isEqualTo(Translation.fault(1));
            assertThat(read(REQUESTER, ADDRESS + 0x1000)).isEqualTo(Translation.fault(2));
            assertThat(read(REQUESTER, 1L << 32 | ADDRESS)).isEqualTo(Translation.fault(3));
            assertThat(read(REQUESTER, ADDRESS - 0x1000)).isEqualTo(Translation.fault(4));
            assertThat(unit.translate(REQUESTER, TranslationUnit.NO_PASID, ADDRESS, RequestFlags.WRITE))
                    .isEqualTo(Translation.fault(5));
            assertThat(unit.translate(REQUESTER, 1, ADDRESS, RequestFlags.READ)).isEqualTo(Translation.fault(6));
            assertThat(read(REQUESTER, ADDRESS)).as("cached from now on").isEqualTo(Translation.to(0x55_5008, true));
        }
    }

    @Test
    void aWordIsForgottenByAFlushAndNotBefore() {
        read(REQUESTER, ADDRESS);
        memory.store(LOW + 7 * 8, 0);
        memory.store(TOP + (ADDRESS >>> 21) * 8, 0);
        memory.store(DEVICES + REQUESTER * 8, 0);

        assertThat(read(REQUESTER, ADDRESS)).isEqualTo(Translation.to(0x55_5008, true));
        flush();
        assertThat(read(REQUESTER, ADDRESS)).isEqualTo(Translation.fault(1));
    }
}
