// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.iommu4j.tck.Errnos.assertRefused;

import java.util.Optional;
import java.util.OptionalLong;
import org.iommu4j.Errno;
import org.iommu4j.platform.RegisterSpace;
import org.iommu4j.platform.RegisterWindow;
import org.junit.jupiter.api.Test;

/** The promises of {@link RegisterSpace} and {@link RegisterWindow}. */
public abstract class RegisterSpaceConformance extends PortConformance {
    private static final long PATTERN = 0x8182_8384_8586_8788L;

    /** Made by JUnit. */
    protected RegisterSpaceConformance() {}

    /** Makes the registers of a platform of its own; what is said below holds of them. */
    protected abstract Registers newRegisters();

    /**
     * Registers of some hardware.
     *
     * @param space maps them for a driver
     * @param ofAnother maps them for another driver; the same object where drivers share one
     * @param base their physical address
     * @param size their bytes
     * @param readOnly offset of 64 bits that can't be written
     * @param readOnlyValue their value
     * @param writable offset of 64 bits that can be written, and whose writing has no other effect
     * @param writableMask which of their bits keep what is written; the others read as they did
     * @param narrowReads whether they can be read by 8 and 16 bits; if not, that is an IllegalStateException
     * @param narrowWrites whether they can be written by 8 and 16 bits; if not, that is an IllegalStateException
     * @param keepsAccount whether the platform keeps registers from other drivers
     * @param nothing an address where nothing answers, empty where the platform can't tell
     * @param gone a window of hardware that is gone, empty where hardware can't go
     */
    public record Registers(
            RegisterSpace space,
            RegisterSpace ofAnother,
            long base,
            int size,
            int readOnly,
            long readOnlyValue,
            int writable,
            long writableMask,
            boolean narrowReads,
            boolean narrowWrites,
            boolean keepsAccount,
            OptionalLong nothing,
            Optional<RegisterWindow> gone) {
        RegisterWindow map() {
            return space.map(base, size);
        }
    }

    @Test
    @Promise({"registers-map-1", "registers-map-3", "release-1"})
    void registersAreKeptFromOthersUntilTheyAreReleased() {
        Registers given = newRegisters();
        for (int round = 0; round < 3; round++) {
            RegisterWindow window = given.map();
            assertThat(window.read64(given.readOnly())).isEqualTo(given.readOnlyValue());
            if (given.keepsAccount()) {
                assertRefused(Errno.EBUSY, () -> given.ofAnother().map(given.base(), given.size()));
                assertRefused(Errno.EBUSY, () -> given.ofAnother().map(given.base(), given.size()));
                assertThat(window.read64(given.readOnly()))
                        .as("read after another driver was refused")
                        .isEqualTo(given.readOnlyValue());
            }
            window.release();
            RegisterWindow other = given.ofAnother().map(given.base(), given.size());
            assertThat(other.read64(given.readOnly())).isEqualTo(given.readOnlyValue());
            other.release();
        }
    }

    @Test
    @Promise("release-2")
    void releasingAgainDoesNothing() {
        Registers given = newRegisters();
        RegisterWindow window = given.map();
        window.release();
        window.release();
        RegisterWindow other = given.ofAnother().map(given.base(), given.size());
        window.release();
        if (given.keepsAccount()) {
            assertRefused(Errno.EBUSY, () -> given.map());
        }
        assertThat(other.read64(given.readOnly())).isEqualTo(given.readOnlyValue());
        other.release();
        given.map().release();
    }

    @Test
    @Promise("registers-map-2")
    void whereNothingAnswersNothingIsMapped() {
        Registers given = newRegisters();
        if (given.nothing().isPresent()) {
            for (int attempt = 0; attempt < 2; attempt++) {
                assertRefused(
                        Errno.ENXIO, () -> given.space().map(given.nothing().getAsLong(), 4096));
            }
        }
        given.map().release();
    }

    @Test
    @Promise("registers-1")
    void anOffsetOutsideOrMisalignedIsABugOfTheCaller() {
        Registers given = newRegisters();
        RegisterWindow window = given.map();
        long before = window.read64(given.writable());
        int size = given.size();
        for (int offset : new int[] {-8, size, size + 8, Integer.MIN_VALUE, Integer.MAX_VALUE & -8}) {
            assertBug(window, offset, 8);
            assertBug(window, offset, 4);
            assertBug(window, offset, 2);
            assertBug(window, offset, 1);
        }
        for (int misaligned : new int[] {1, 2, 4}) {
            assertBug(window, given.writable() + misaligned, 8);
        }
        assertBug(window, given.writable() + 2, 4);
        assertBug(window, given.writable() + 1, 4);
        assertBug(window, given.writable() + 1, 2);
        assertBug(window, size - 4, 8);
        assertThat(window.read64(given.writable())).as("a register after bugs").isEqualTo(before);
        RegisterWindow part;
        window.release();
        part = given.space().map(given.base(), 8 + Math.max(given.readOnly(), given.writable()));
        assertBug(part, 8 + Math.max(given.readOnly(), given.writable()), 8);
        assertThat(part.read64(given.readOnly())).isEqualTo(given.readOnlyValue());
    }

    private static void assertBug(RegisterWindow window, int offset, int bytes) {
        assertThatIllegalStateException()
                .as("a read of %d bytes at 0x%x", bytes, offset)
                .isThrownBy(() -> {
                    switch (bytes) {
                        case 1 -> window.read8(offset);
                        case 2 -> window.read16(offset);
                        case 4 -> window.read32(offset);
                        default -> window.read64(offset);
                    }
                });
        assertThatIllegalStateException()
                .as("a write of %d bytes at 0x%x", bytes, offset)
                .isThrownBy(() -> {
                    switch (bytes) {
                        case 1 -> window.write8(offset, 0);
                        case 2 -> window.write16(offset, 0);
                        case 4 -> window.write32(offset, 0);
                        default -> window.write64(offset, 0);
                    }
                });
    }

    @Test
    @Promise("registers-2")
    void hardwareThatIsGoneReadsAllOnes() {
        newRegisters().gone().ifPresent(window -> {
            for (int round = 0; round < 2; round++) {
                assertThat(window.read64(0)).isEqualTo(-1L);
                assertThat(window.read32(4)).isEqualTo(-1);
                assertThat(window.read16(2)).isEqualTo(0xffff);
                assertThat(window.read8(1)).isEqualTo(0xff);
                window.write64(0, 0);
                window.write32(4, 0);
            }
        });
        Registers given = newRegisters();
        assertThat(given.map().read64(given.readOnly()))
                .as("hardware that is there")
                .isEqualTo(given.readOnlyValue());
    }

    @Test
    @Promise({"read-sixty-four-1", "read-thirty-two-1", "read-sixteen-1"})
    void widerReadsAreMadeOfNarrowerOnes() {
        Registers given = newRegisters();
        RegisterWindow window = given.map();
        write(given, window, PATTERN);
        for (int at : new int[] {given.readOnly(), given.writable()}) {
            long value = at == given.readOnly() ? given.readOnlyValue() : PATTERN & given.writableMask();
            long mask = at == given.readOnly() ? -1L : given.writableMask();
            assertThat(window.read64(at) & mask).isEqualTo(value);
            for (int i = 0; i < 8; i += 4) {
                assertThat(window.read32(at + i) & (int) (mask >>> (8 * i)))
                        .as("32 bits at 0x%x", at + i)
                        .isEqualTo((int) (value >>> (8 * i)));
            }
            for (int i = 0; i < 8 && given.narrowReads(); i += 2) {
                assertThat(window.read16(at + i)).as("no sign").isBetween(0, 0xffff);
                assertThat(window.read16(at + i) & (int) (mask >>> (8 * i)) & 0xffff)
                        .as("16 bits at 0x%x", at + i)
                        .isEqualTo((int) (value >>> (8 * i)) & 0xffff);
            }
        }
    }

    @Test
    @Promise("read-eight-1")
    void bytesAreReadWithoutSign() {
        Registers given = newRegisters();
        RegisterWindow window = given.map();
        write(given, window, PATTERN);
        for (int i = 0; i < 8 && given.narrowReads(); i++) {
            assertThat(window.read8(given.readOnly() + i))
                    .as("byte %d", i)
                    .isEqualTo((int) (given.readOnlyValue() >>> (8 * i)) & 0xff);
            assertThat(window.read8(given.writable() + i) & (int) (given.writableMask() >>> (8 * i)) & 0xff)
                    .as("byte %d", i)
                    .isEqualTo((int) ((PATTERN & given.writableMask()) >>> (8 * i)) & 0xff);
        }
    }

    @Test
    @Promise("registers-5")
    void aWindowWithoutNarrowRegistersRefusesThem() {
        Registers given = newRegisters();
        RegisterWindow window = given.map();
        write(given, window, PATTERN);
        for (int i = 0; i < 8; i++) {
            int at = given.writable() + i;
            if (!given.narrowReads()) {
                assertThatIllegalStateException().isThrownBy(() -> window.read8(at));
                assertThatIllegalStateException().isThrownBy(() -> window.read16(at & ~1));
            }
            if (!given.narrowWrites()) {
                assertThatIllegalStateException().isThrownBy(() -> window.write8(at, 0));
                assertThatIllegalStateException().isThrownBy(() -> window.write16(at & ~1, 0));
            }
        }
        assertHolds(given, window, PATTERN);
    }

    private static void write(Registers given, RegisterWindow window, long value) {
        window.write64(given.writable(), value & given.writableMask());
    }

    private static void assertHolds(Registers given, RegisterWindow window, long value) {
        assertThat(window.read64(given.writable()) & given.writableMask())
                .as("the register at 0x%x", given.writable())
                .isEqualTo(value & given.writableMask());
    }

    @Test
    @Promise({"write-sixty-four-1", "registers-3"})
    void aRegisterHasWhatWasWrittenLast() {
        Registers given = newRegisters();
        RegisterWindow window = given.map();
        for (long value : new long[] {PATTERN, ~PATTERN, 0, -1, PATTERN << 3}) {
            write(given, window, 0);
            write(given, window, ~value);
            write(given, window, value);
            assertHolds(given, window, value);
        }
        window.write64(given.readOnly(), ~given.readOnlyValue());
        assertThat(window.read64(given.readOnly())).isEqualTo(given.readOnlyValue());
    }

    @Test
    @Promise({"write-thirty-two-1", "registers-3"})
    void halvesAreWrittenApartAndInOrder() {
        Registers given = newRegisters();
        RegisterWindow window = given.map();
        write(given, window, PATTERN);
        window.write32(given.writable(), (int) given.writableMask() & 0x1357_9bdf);
        assertHolds(given, window, (PATTERN & -1L << 32) | 0x1357_9bdfL);
        window.write32(given.writable() + 4, (int) (given.writableMask() >>> 32) & 0x2468_ace0);
        assertHolds(given, window, 0x2468_ace0L << 32 | 0x1357_9bdfL);
        write(given, window, 0);
        assertHolds(given, window, 0);
    }

    @Test
    @Promise("write-eight-1")
    void theLowEightBitsAreWrittenAlone() {
        Registers given = newRegisters();
        RegisterWindow window = given.map();
        write(given, window, 0);
        if (!given.narrowWrites()) {
            return;
        }
        long expected = 0;
        for (int i = 0; i < 8; i++) {
            window.write8(given.writable() + i, 0xfffffe00 | (0x91 + i));
            expected |= (0x91L + i) << (8 * i);
            assertHolds(given, window, expected);
        }
    }

    @Test
    @Promise("write-sixteen-1")
    void theLowSixteenBitsAreWrittenAlone() {
        Registers given = newRegisters();
        RegisterWindow window = given.map();
        write(given, window, 0);
        if (!given.narrowWrites()) {
            return;
        }
        long expected = 0;
        for (int i = 0; i < 8; i += 2) {
            window.write16(given.writable() + i, 0xfffe0000 | (0x9182 + i));
            expected |= (0x9182L + i) << (8 * i);
            assertHolds(given, window, expected);
        }
    }
}
