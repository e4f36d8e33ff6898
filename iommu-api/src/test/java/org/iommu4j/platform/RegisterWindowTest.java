// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.platform;

import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import org.junit.jupiter.api.Test;

class RegisterWindowTest {
    /** A unit that has registers of 32 and 64 bits only, as most have. */
    private final RegisterWindow window = new RegisterWindow() {
        @Override
        public int read32(int offset) {
            return 0;
        }

        @Override
        public long read64(int offset) {
            return 0;
        }

        @Override
        public void write32(int offset, int value) {}

        @Override
        public void write64(int offset, long value) {}
    };

    @Test
    void narrowAccessesOfAUnitWithoutNarrowRegistersAreRefused() {
        assertThatIllegalStateException()
                .isThrownBy(() -> window.read8(0x1c))
                .withMessage("no read of 8 bits, at offset 0x1c");
        assertThatIllegalStateException()
                .isThrownBy(() -> window.read16(0x1c))
                .withMessage("no read of 16 bits, at offset 0x1c");
        assertThatIllegalStateException()
                .isThrownBy(() -> window.write8(0x1c, 1))
                .withMessage("no write of 8 bits, at offset 0x1c");
        assertThatIllegalStateException()
                .isThrownBy(() -> window.write16(0x1c, 1))
                .withMessage("no write of 16 bits, at offset 0x1c");
    }
}
