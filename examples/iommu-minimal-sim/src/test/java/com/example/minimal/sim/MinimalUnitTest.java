// SPDX-License-Identifier: Apache-2.0
package com.example.minimal.sim;

import static org.assertj.core.api.Assertions.assertThat;

import org.iommu4j.platform.SystemMemory;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.StateDigest;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The unit by its manual: tables are written by hand, and no driver is involved. */
class MinimalUnitTest {
    private static final int REQUESTER = 0x0100;
    private static final long DEVICES = 0x100_0000;
    private static final long TOP = 0x20_0000;
    private static final long MIDDLE = 0x20_1000;
    private static final long LOW = 0x20_2000;
    private static final long ADDRESS = 0x4060_7008L;

    private final MachineFactory factory = MachineFactory.load();
    private final Machine machine = factory.createFlat(factory.named("minimal"));
    private final TranslationUnit unit = machine.units().get(0);
    private final SystemMemory memory = machine.memory(0);

    @BeforeEach
    void turnOnWithOnePage() {
        memory.store(DEVICES + REQUESTER * 8, TOP | 3);
        memory.store(TOP + 8, MIDDLE | 4);
        memory.store(MIDDLE + 3 * 8, LOW | 4);
        memory.store(LOW + 7 * 8, 0x55_5000 | 1);
        unit.writeRegister64(0x08, DEVICES);
        invalidate(1);
    }

    private void invalidate(long command) {
        unit.writeRegister64(0x20, command);
        assertThat(unit.readRegister64(0x20)).as("before a step").isEqualTo(command);
        assertThat(unit.step()).isTrue();
        assertThat(unit.readRegister64(0x20)).isZero();
        assertThat(unit.step()).isFalse();
    }

    private long read(int requester, long address) {
        return unit.translate(requester, TranslationUnit.NO_PASID, address, RequestFlags.READ);
    }

    private int reason(long translation) {
        assertThat(Translation.isFault(translation)).isTrue();
        return Translation.faultCode(translation);
    }

    @Test
    void aReadIsTranslatedAndSnooped() {
        assertThat(read(REQUESTER, ADDRESS)).isEqualTo(Translation.to(0x55_5008, true));
    }

    @Test
    void eachRefusalHasItsReasonAndIsLoggedOnce() {
        memory.store(LOW + 8 * 8, 0x55_5000 | 1L << 60 | 1);

        assertThat(reason(read(REQUESTER + 1, ADDRESS))).isEqualTo(1);
        assertThat(reason(read(REQUESTER, ADDRESS + 0x1000))).isEqualTo(2);
        assertThat(reason(read(REQUESTER, 1L << 39))).isEqualTo(3);
        assertThat(reason(read(REQUESTER, ADDRESS - 0x1000))).isEqualTo(4);
        assertThat(reason(unit.translate(REQUESTER, TranslationUnit.NO_PASID, ADDRESS, RequestFlags.WRITE)))
                .isEqualTo(5);
        assertThat(reason(unit.translate(REQUESTER, 1, ADDRESS, RequestFlags.READ)))
                .isEqualTo(6);

        for (long reason : new long[] {1, 2, 3, 4, 5, 6}) {
            long write = reason == 5 ? 1L << 61 : 0;
            long requester = reason == 1 ? REQUESTER + 1 : REQUESTER;
            assertThat(unit.readRegister64(0x30)).isEqualTo(1L << 63 | write | reason << 16 | requester);
            unit.writeRegister64(0x30, 0);
        }
        assertThat(unit.readRegister64(0x30)).isZero();
    }

    @Test
    void theLogHasRoomFor32() {
        for (int i = 0; i < 40; i++) {
            read(REQUESTER, i * 4096L);
        }
        for (int i = 0; i < 32; i++) {
            assertThat(unit.readRegister64(0x28)).isEqualTo(i * 4096L);
            assertThat(unit.readRegister64(0x30) >>> 62).as("F, and O").isEqualTo(i == 31 ? 3 : 2);
            unit.writeRegister64(0x30, 0);
        }
        assertThat(unit.readRegister64(0x30)).isZero();
    }

    @Test
    void wordsAreForgottenWhenTheUnitIsToldAndNotBefore() {
        read(REQUESTER, ADDRESS);
        memory.store(LOW + 7 * 8, 0);
        memory.store(MIDDLE + 3 * 8, 0);
        memory.store(DEVICES + REQUESTER * 8, 0);

        unit.writeRegister64(0x10, ADDRESS + 0x1000);
        unit.writeRegister64(0x18, ADDRESS + 0x1fff);
        invalidate(3 | TOP);
        assertThat(read(REQUESTER, ADDRESS)).as("another page").isEqualTo(Translation.to(0x55_5008, true));
        unit.writeRegister64(0x10, ADDRESS);
        unit.writeRegister64(0x18, ADDRESS);
        invalidate(3 | MIDDLE);
        assertThat(read(REQUESTER, ADDRESS)).as("another table").isEqualTo(Translation.to(0x55_5008, true));
        invalidate(3 | TOP);
        assertThat(reason(read(REQUESTER, ADDRESS))).isEqualTo(4);
        invalidate(2 | (REQUESTER + 1) << 16);
        assertThat(reason(read(REQUESTER, ADDRESS))).as("another device").isEqualTo(4);
        invalidate(2 | REQUESTER << 16);
        assertThat(reason(read(REQUESTER, ADDRESS))).isEqualTo(1);
    }

    @Test
    void withoutADeviceTableAddressesPass() {
        unit.writeRegister64(0x08, 0);
        assertThat(Translation.isFault(read(0, ADDRESS))).as("not yet used").isTrue();
        invalidate(1);
        assertThat(read(0, ADDRESS)).isEqualTo(Translation.to(ADDRESS, false));
    }

    @Test
    void aResetUnitIsLikeANewOne() {
        TranslationUnit other =
                factory.createFlat(machine.description()).units().get(0);
        read(REQUESTER, ADDRESS);
        read(REQUESTER, 0);
        assertThat(digest(unit)).isNotEqualTo(digest(other));

        unit.reset();

        assertThat(digest(unit)).isEqualTo(digest(other));
    }

    private static long digest(TranslationUnit unit) {
        StateDigest digest = new StateDigest();
        unit.addTo(digest);
        return digest.value();
    }
}
