// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.kvm;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class MemorySlotsTest {
    private static final long PAGE = 4096;

    /** A slot of one page that counts how often a search looks at it. */
    private final class Counted extends MemorySlots.Slot {
        Counted(int number) {
            super(number, number * (2 * PAGE), PAGE, 0x7000_0000L);
        }

        @Override
        long end() {
            looks++;
            return super.end();
        }
    }

    private int looks;

    @Test
    void aSlotIsFoundInAsManyStepsAsTheirNumberHasDigits() {
        for (int bits = 0; bits <= 15; bits++) {
            int count = 1 << bits;
            MemorySlots.Slot[] slots = new MemorySlots.Slot[count];
            for (int i = 0; i < count; i++) {
                slots[i] = new Counted(i);
            }
            for (int i = 0; i < count; i += 1 + count / 100) {
                looks = 0;
                assertThat(MemorySlots.firstFrom(slots, i * (2 * PAGE) + 8)).isEqualTo(i);
                assertThat(looks).as("slot %d of %d", i, count).isBetween(1, bits + 1);
            }
            looks = 0;
            assertThat(MemorySlots.firstFrom(slots, count * (2 * PAGE)))
                    .as("behind all")
                    .isEqualTo(count);
            assertThat(looks).as("behind all %d", count).isLessThanOrEqualTo(bits + 1);
        }
    }

    @Test
    void asManySlotsAsLinuxHasAreAllFound() {
        VmmMemory memory = new VmmMemory();
        memory.place(0x7000_0000L, 0x10_0000);
        MemorySlots slots = new MemorySlots(memory);
        int count = 32_764;
        for (int i = 0; i < count; i++) {
            slots.add(i, i * PAGE, PAGE, 0x7000_0000L);
        }
        for (int i = 0; i < count; i++) {
            assertThat(slots.translate(i * PAGE + 8)).isEqualTo(0x10_0008);
        }
    }
}
