// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.platform;

/**
 * A range of memory-mapped registers.
 *
 * <p>Offsets are bytes from the window's base and aligned to the access. A read of hardware that is gone returns all
 * ones, as on PCI. Accesses are strongly ordered; a write may start work that goes on afterwards.
 */
public interface RegisterWindow {
    /** Reads 8 bits, 0 to 0xff. */
    int read8(int offset);

    /** Reads 16 bits, 0 to 0xffff. */
    int read16(int offset);

    /** Reads 32 bits. */
    int read32(int offset);

    /** Reads 64 bits. */
    long read64(int offset);

    /** Writes the low 8 bits of a value. */
    void write8(int offset, int value);

    /** Writes the low 16 bits of a value. */
    void write16(int offset, int value);

    /** Writes 32 bits. */
    void write32(int offset, int value);

    /** Writes 64 bits. */
    void write64(int offset, long value);

    /**
     * Gives the registers back, which the caller does not use any more. Again does nothing; nor does it where the
     * platform keeps no account of who has them.
     */
    default void release() {}
}
