// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.silicon;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.iommu4j.tck.SiliconBench.digest;
import static org.iommu4j.tck.silicon.Watched.READ;

import java.util.Random;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.tck.NoMemory;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.SiliconBench;
import org.junit.jupiter.api.Test;

/** A unit's registers: all widths are views of one thing. */
public abstract class RegisterContract {
    /** Made by JUnit. */
    protected RegisterContract() {}

    /** Returns a unit that a driver has set up, and that has refused something. */
    private static TranslationUnit used(SiliconBench silicon) {
        Watched watched = Watched.on(silicon);
        watched.map();
        watched.translate(watched.iova(40), READ);
        return watched.unit;
    }

    private static void assertAt(int bits, int offset, long value, long expected) {
        // There are thousands of them.
        if (value != expected) {
            assertThat(value).as("%d bits at 0x%x", bits, offset).isEqualTo(expected);
        }
    }

    @Test
    @Promise({"unit-read-sixty-four-1", "unit-read-thirty-two-1"})
    void aRegisterOf64BitsIsItsTwoHalves(SiliconBench silicon) {
        TranslationUnit unit = used(silicon);
        for (int offset = 0; offset < silicon.spec().registerSize(); offset += 8) {
            long low = unit.readRegister32(offset) & 0xffffffffL;
            long high = unit.readRegister32(offset + 4) & 0xffffffffL;
            assertAt(64, offset, unit.readRegister64(offset), low | high << 32);
        }
    }

    @Test
    @Promise({"unit-read-sixty-four-1", "unit-read-thirty-two-1"})
    void readingChangesNothing(SiliconBench silicon) {
        TranslationUnit unit = used(silicon);
        long before = digest(unit);
        for (int offset = 0; offset < silicon.spec().registerSize(); offset += 8) {
            long value = unit.readRegister64(offset);
            int half = unit.readRegister32(offset);
            assertAt(64, offset, unit.readRegister64(offset), value);
            assertAt(32, offset, unit.readRegister32(offset), half);
            if (offset % 128 == 120) {
                assertThat(digest(unit))
                        .as("the digest after reads up to 0x%x", offset)
                        .isEqualTo(before);
            }
        }
    }

    @Test
    @Promise({"unit-read-sixty-four-1", "unit-read-thirty-two-1"})
    void theDriverReadsWhatTheUnitIsMadeFrom(SiliconBench silicon) {
        TranslationUnit unit = silicon.create(new NoMemory());
        boolean found = false;
        for (int offset = 0; offset < silicon.spec().registerSize(); offset += 8) {
            long word = unit.readRegister64(offset);
            long low = unit.readRegister32(offset) & 0xffffffffL;
            long high = unit.readRegister32(offset + 4) & 0xffffffffL;
            found |= silicon.spec().registers().containsValue(word)
                    && word != 0
                    && silicon.spec().registers().containsValue(low | high << 32);
        }
        assertThat(found).as("some register has a value of the specification").isTrue();
    }

    @Test
    @Promise("unit-read-sixteen-1")
    void aHalfOf16BitsIsPartOf32(SiliconBench silicon) {
        TranslationUnit unit = used(silicon);
        for (int offset = 0; offset < silicon.spec().registerSize(); offset += 2) {
            int whole = unit.readRegister32(offset & -4);
            assertAt(16, offset, unit.readRegister16(offset), (whole >>> ((offset & 2) * 8)) & 0xffff);
        }
    }

    @Test
    @Promise("unit-read-eight-1")
    void aByteIsPartOf32Bits(SiliconBench silicon) {
        TranslationUnit unit = used(silicon);
        for (int offset = 0; offset < silicon.spec().registerSize(); offset++) {
            int whole = unit.readRegister32(offset & -4);
            assertAt(8, offset, unit.readRegister8(offset), (whole >>> ((offset & 3) * 8)) & 0xff);
        }
    }

    /** Writes one register in one width. */
    private interface Writer {
        void write(TranslationUnit unit, int offset, int value);
    }

    @Test
    @Promise("unit-write-eight-1")
    void aUnitWithoutRegistersOf8BitsThrowsWhenOneIsWritten(SiliconBench silicon) {
        assertTakenOrThrown(silicon, 1, TranslationUnit::writeRegister8);
    }

    @Test
    @Promise("unit-write-sixteen-1")
    void aUnitWithoutRegistersOf16BitsThrowsWhenOneIsWritten(SiliconBench silicon) {
        assertTakenOrThrown(silicon, 2, TranslationUnit::writeRegister16);
    }

    /** What does not throw is a register, so that some value changes something. */
    private static void assertTakenOrThrown(SiliconBench silicon, int bytes, Writer writer) {
        TranslationUnit unit = silicon.create(new NoMemory());
        long before = digest(unit);
        int mask = (1 << (8 * bytes)) - 1;
        for (int offset = 0; offset < silicon.spec().registerSize(); offset += bytes) {
            int at = offset;
            boolean thrown = false;
            boolean changed = false;
            for (int value : new int[] {mask, 0, 0x5a5a & mask}) {
                try {
                    writer.write(unit, at, value);
                    changed |= digest(unit) != before;
                } catch (IllegalStateException e) {
                    thrown = true;
                }
            }
            if (thrown == changed) {
                assertThat(changed)
                        .as("a write of %d bytes at 0x%x is taken, or throws IllegalStateException", bytes, offset)
                        .isNotEqualTo(thrown);
            }
            if (changed) {
                unit.reset();
            }
        }
        assertThat(digest(unit)).as("the digest after writes that threw").isEqualTo(before);
    }

    @Test
    @Promise({"unit-write-sixty-four-1", "unit-write-thirty-two-1"})
    void theDriverSetsTheUnitUpByItsRegisters(SiliconBench silicon) {
        Watched watched = Watched.on(silicon);
        watched.map();
        for (int page = 0; page < Watched.PAGES; page++) {
            long answer = watched.translate(watched.iova(page) + 8, READ);
            assertThat(Translation.toString(answer)).startsWith("0x");
            assertThat(Translation.address(answer)).isEqualTo(watched.page(page) + 8);
        }
    }

    @Test
    @Promise({"unit-write-thirty-two-1", "unit-write-sixty-four-1"})
    void aWriteOf64BitsIsTwoOf32(SiliconBench silicon) {
        Random random = silicon.random();
        int window = silicon.spec().registerSize();
        if (isWrittenWhole(silicon)) {
            TranslationUnit unit = silicon.create(new NoMemory());
            long before = digest(unit);
            for (int at = 0; at < window; at += 4) {
                int offset = at;
                assertThatThrownBy(() -> unit.writeRegister32(offset, -1))
                        .as("32 bits at 0x%x", offset)
                        .isInstanceOf(IllegalStateException.class);
            }
            assertThat(digest(unit)).as("the digest after writes that threw").isEqualTo(before);
            return;
        }
        TranslationUnit whole = silicon.create(new NoMemory());
        TranslationUnit halves = silicon.create(new NoMemory());
        for (int offset = 0; offset < window; offset += 8) {
            if (beginsWork(silicon, offset)) {
                // A command is begun by its lower half, which is all of it then.
                whole.writeRegister64(offset, 0x8765_4321L);
                halves.writeRegister32(offset, 0x8765_4321);
                assertThat(digest(halves))
                        .as("the digest after a command at 0x%x", offset)
                        .isEqualTo(digest(whole));
                whole.reset();
                halves.reset();
                continue;
            }
            for (long value : new long[] {-1, 0x12345678_9abcd000L, random.nextLong(), random.nextLong()}) {
                whole.writeRegister64(offset, value);
                halves.writeRegister32(offset, (int) value);
                halves.writeRegister32(offset + 4, (int) (value >>> 32));
                assertAt(64, offset, halves.readRegister64(offset), whole.readRegister64(offset));
            }
            if (offset < 512 || offset % 128 == 120) {
                assertThat(digest(halves))
                        .as("the digest after writes at 0x%x by halves", offset)
                        .isEqualTo(digest(whole));
            }
        }
    }

    private static boolean beginsWork(SiliconBench silicon, int offset) {
        TranslationUnit unit = silicon.create(new NoMemory());
        unit.writeRegister32(offset, -1);
        return unit.step();
    }

    private static boolean isWrittenWhole(SiliconBench silicon) {
        try {
            silicon.create(new NoMemory()).writeRegister32(0, 0);
            return false;
        } catch (IllegalStateException e) {
            return true;
        }
    }

    @Test
    @Promise({"unit-write-sixty-four-1", "unit-write-thirty-two-1"})
    void someRegistersKeepWhatIsWritten(SiliconBench silicon) {
        int kept = 0;
        int keptByHalves = 0;
        boolean whole = isWrittenWhole(silicon);
        for (int offset = 0; offset < Math.min(silicon.spec().registerSize(), 1 << 14); offset += 8) {
            for (long address : new long[] {0x13579000L, 0x2468000L}) {
                TranslationUnit unit = silicon.create(new NoMemory());
                unit.writeRegister64(offset, address);
                kept += unit.readRegister64(offset) == address ? 1 : 0;
                if (!whole) {
                    TranslationUnit other = silicon.create(new NoMemory());
                    other.writeRegister32(offset, (int) address);
                    keptByHalves += other.readRegister64(offset) == address ? 1 : 0;
                }
            }
        }
        assertThat(kept).as("registers that keep an address").isPositive();
        assertThat(whole ? 1 : keptByHalves).as("registers that keep 32 bits").isPositive();
    }
}
