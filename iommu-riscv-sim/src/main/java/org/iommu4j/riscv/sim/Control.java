// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import org.iommu4j.bits.BitField;
import org.iommu4j.sim.spi.StateDigest;

/**
 * The registers that every request depends on: {@code fctl} and {@code ddtp}.
 *
 * <p>Writes that the manual leaves unspecified: a mode that does not exist leaves {@code ddtp} as it is; features
 * change only while the unit and its queues are off.
 */
final class Control {
    private static final BitField MODE = bits(3, 0, "iommu_mode");
    private static final BitField BUSY = bit(4, "busy");
    private static final BitField PPN = bits(53, 10, "PPN");

    /** Modes; those above Bare have mode - 1 levels of the device directory. */
    static final int OFF = 0;

    static final int BARE = 1;
    static final int LARGEST_MODE = 4;

    private final Features features;
    private volatile long fctl;
    private volatile long ddtp;

    /** Whether a write of {@code ddtp} is still to be acted on; until then requests see {@link #directory}. */
    private boolean busy;

    private volatile long directory;

    Control(Features features) {
        this.features = features;
        reset();
    }

    void reset() {
        fctl = features.controlAtReset;
        ddtp = 0;
        directory = 0;
        busy = false;
    }

    long fctl() {
        return fctl;
    }

    /** Writes features, unless the unit is in use: then the write is ignored. */
    void writeFctl(long value, boolean queuesAreOn) {
        if (mode(ddtp) == OFF && !queuesAreOn) {
            fctl = (fctl & ~features.writableControls) | (value & features.writableControls);
        }
    }

    boolean isBigEndian() {
        return Features.BE.isSet(fctl);
    }

    boolean isWired() {
        return Features.WSI.isSet(fctl);
    }

    long ddtp() {
        return ddtp | (busy ? BUSY.mask() : 0);
    }

    void writeDdtp(long value) {
        if (MODE.get(value) <= LARGEST_MODE) {
            ddtp = value & (MODE.mask() | features.ppnBits);
        }
        busy = true;
    }

    /** Acts on a write of {@code ddtp}, and returns whether there was one. */
    boolean step() {
        boolean worked = busy;
        directory = ddtp;
        busy = false;
        return worked;
    }

    /** Returns the pointer that requests use. */
    long directory() {
        return directory;
    }

    static int mode(long ddtp) {
        return (int) MODE.get(ddtp);
    }

    static long root(long ddtp) {
        return PPN.get(ddtp) << 12;
    }

    void addTo(StateDigest digest) {
        digest.add(fctl);
        digest.add(ddtp);
        digest.add(directory);
        digest.add(busy);
    }
}
