// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import static org.iommu4j.bits.BitField.bits;

import java.util.Arrays;
import java.util.function.LongConsumer;
import org.iommu4j.bits.BitField;
import org.iommu4j.sim.spi.StateDigest;

/**
 * The registers {@code ipsr}, {@code icvec} and {@code msi_cfg_tbl}, and the messages that they make.
 *
 * <p>Source: manual, sections of these registers. A bit that becomes 1 leaves a message to be sent by a later step, if
 * interrupts are messages. Else it drives the wire that its vector names, which several bits may share.
 */
final class Interrupts {
    /** Bits of ipsr, and the causes that icvec gives vectors. */
    static final int CIP = 0;

    static final int FIP = 1;
    static final int PIP = 3;
    private static final int CAUSES = 4;

    private static final int VECTORS = 16;
    private static final BitField ADDRESS = bits(55, 2, "ADDR");
    private static final long MASKED = 1;

    private final Features features;
    private final Control control;
    private final Memory memory;

    private int pending;
    private long vectors;

    /** Messages' addresses; and in words of two halves their data below the vector control, as in the window. */
    private final long[] addresses = new long[VECTORS];

    private final long[] messages = new long[VECTORS];

    /** The levels of the wires, which the registers determine. */
    private int wires;

    /** The causes whose messages are to be sent, as bits. */
    private int unsent;

    Interrupts(Features features, Control control, Memory memory) {
        this.features = features;
        this.control = control;
        this.memory = memory;
    }

    void reset() {
        pending = 0;
        vectors = 0;
        unsent = 0;
        Arrays.fill(addresses, 0);
        Arrays.fill(messages, 0);
        updateWires();
    }

    /** Drives the wires whose levels have changed. */
    void updateWires() {
        int levels = 0;
        for (int cause = 0; control.isWired() && cause < CAUSES; cause++) {
            levels |= ((pending >>> cause) & 1) << vector(cause);
        }
        for (int changed = levels ^ wires; changed != 0; changed &= changed - 1) {
            int wire = Integer.numberOfTrailingZeros(changed);
            memory.setWire(wire, ((levels >>> wire) & 1) != 0);
        }
        wires = levels;
    }

    private int vector(int cause) {
        return (int) ((vectors >>> (4 * cause)) & (VECTORS - 1));
    }

    /** Sets a bit of ipsr. */
    void raise(int cause) {
        if (((pending >>> cause) & 1) == 0) {
            pending |= 1 << cause;
            if (!control.isWired()) {
                unsent |= 1 << cause;
            }
            updateWires();
        }
    }

    int pending() {
        return pending;
    }

    /** Clears bits of ipsr where a value has ones. */
    void clear(int value) {
        pending &= ~value;
        updateWires();
    }

    long vectors() {
        return vectors;
    }

    void writeVectors(long value) {
        vectors = value & features.vectorBits;
        updateWires();
    }

    /** Reads a word of the message table. */
    long readTable(int offset) {
        int vector = offset / 16;
        return offset % 16 == 0 ? addresses[vector] : messages[vector];
    }

    void writeTable(int offset, long value) {
        if (features.messages) {
            int vector = offset / 16;
            if (offset % 16 == 0) {
                addresses[vector] = ADDRESS.getInPlace(value) & ((1L << features.physicalBits) - 1);
            } else {
                messages[vector] = value & (0xffffffffL | MASKED << Integer.SIZE);
            }
        }
    }

    /**
     * Sends one message, if there is one that is not masked.
     *
     * @param refused receives the address of a message that memory does not take
     * @return whether there was one
     */
    boolean step(LongConsumer refused) {
        for (int cause = 0; unsent != 0 && cause < CAUSES; cause++) {
            int vector = vector(cause);
            if (((unsent >>> cause) & 1) != 0 && ((messages[vector] >>> Integer.SIZE) & MASKED) == 0) {
                unsent &= ~(1 << cause);
                send(addresses[vector], (int) messages[vector], refused);
                return true;
            }
        }
        return false;
    }

    private void send(long address, int data, LongConsumer refused) {
        if (memory.isWritable(address)) {
            memory.write32(address, data, control.isBigEndian());
        } else {
            refused.accept(address);
        }
    }

    void addTo(StateDigest digest) {
        digest.add(pending);
        digest.add(vectors);
        digest.add(unsent);
        for (int vector = 0; vector < VECTORS; vector++) {
            digest.add(addresses[vector]);
            digest.add(messages[vector]);
        }
    }
}
