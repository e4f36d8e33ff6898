// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.platform;

import org.iommu4j.bits.Hex;

/**
 * A range of memory-mapped registers.
 *
 * <p>Offsets are bytes from the window's base, aligned to the access and inside the window; another offset is a bug of
 * the caller: {@link IllegalStateException} [registers-1]. A read of hardware that is gone returns all ones, as on PCI
 * [registers-2]. Accesses reach the hardware in the caller's order [registers-3]. A write may start work that goes on
 * afterwards; that work runs inside {@link Waiter#await} or between calls of the driver [registers-4].
 *
 * <p>Few units have registers of 8 or 16 bits. A window without them refuses such an access in the same way
 * [registers-5].
 */
public interface RegisterWindow {
    /** Reads 8 bits, 0 to 0xff [read-eight-1]. */
    default int read8(int offset) {
        throw new IllegalStateException("no read of 8 bits, at offset " + Hex.of(offset));
    }

    /** Reads 16 bits, 0 to 0xffff [read-sixteen-1]. */
    default int read16(int offset) {
        throw new IllegalStateException("no read of 16 bits, at offset " + Hex.of(offset));
    }

    /** Reads 32 bits [read-thirty-two-1]. */
    int read32(int offset);

    /** Reads 64 bits [read-sixty-four-1]. */
    long read64(int offset);

    /** Writes the low 8 bits of a value [write-eight-1]. */
    default void write8(int offset, int value) {
        throw new IllegalStateException("no write of 8 bits, at offset " + Hex.of(offset));
    }

    /** Writes the low 16 bits of a value [write-sixteen-1]. */
    default void write16(int offset, int value) {
        throw new IllegalStateException("no write of 16 bits, at offset " + Hex.of(offset));
    }

    /** Writes 32 bits [write-thirty-two-1]. */
    void write32(int offset, int value);

    /** Writes 64 bits [write-sixty-four-1]. */
    void write64(int offset, long value);

    /**
     * Gives the registers back, which the caller does not use any more: another driver can map them [release-1].
     *
     * <p>Releasing again does nothing, and neither does it where the platform keeps no account of owners [release-2].
     */
    default void release() {}
}
