// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.bits;

import java.util.Objects;

/**
 * A run of bits of a 64-bit word.
 *
 * <p>A record, so that the compiler folds a {@code static final} field into a mask and a shift.
 *
 * @param name the manual's mnemonic
 * @param high the highest bit, 0 to 63
 * @param low the lowest bit, 0 to {@code high}
 * @param word which 64-bit word of a structure, 0 for registers and single words
 */
public record BitField(String name, int high, int low, int word) {
    /** Checks that the bits are in a word and in the manual's order. */
    public BitField {
        Objects.requireNonNull(name, "name");
        if (low < 0 || high > 63 || high < low || word < 0) {
            throw new IllegalArgumentException("field " + name + " has bits " + high + ":" + low + " of word " + word
                    + ", expected 63 >= high >= low >= 0");
        }
    }

    /** Makes a field of several bits of word 0, as {@code bits(51, 12, "ADDR")}. */
    public static BitField bits(int high, int low, String name) {
        return new BitField(name, high, low, 0);
    }

    /** Makes a field of one bit of word 0. */
    public static BitField bit(int position, String name) {
        return new BitField(name, position, position, 0);
    }

    /**
     * Makes a field by its absolute bit numbers in a structure of several words, as manuals number them.
     *
     * @throws IllegalArgumentException when the bits straddle two words; that is a {@link SplitField}
     */
    public static BitField absolute(int high, int low, String name) {
        if (high / 64 != low / 64) {
            throw new IllegalArgumentException("field " + name + " straddles words: bits " + high + ":" + low);
        }
        return new BitField(name, high % 64, low % 64, low / 64);
    }

    /** Returns the number of bits. */
    public int width() {
        return high - low + 1;
    }

    /** Returns the largest value, unsigned. */
    public long max() {
        return width() == 64 ? -1L : (1L << width()) - 1;
    }

    /** Returns the bits in place. */
    public long mask() {
        return max() << low;
    }

    /** Reads the field, shifted down to bit 0. */
    public long get(long value) {
        return (value >>> low) & max();
    }

    /** Reads a field in place, not shifted: what address fields need. */
    public long getInPlace(long value) {
        return value & mask();
    }

    /** Returns whether any bit of the field is set. */
    public boolean isSet(long value) {
        return (value & mask()) != 0;
    }

    /**
     * Returns a word with this field alone.
     *
     * @throws IllegalArgumentException when the value does not fit
     */
    public long of(long fieldValue) {
        if ((fieldValue & ~max()) != 0) {
            throw tooWide(fieldValue);
        }
        return fieldValue << low;
    }

    /** Returns the word with this field replaced. */
    public long set(long value, long fieldValue) {
        return (value & ~mask()) | of(fieldValue);
    }

    private IllegalArgumentException tooWide(long fieldValue) {
        return new IllegalArgumentException(
                "value 0x" + Long.toHexString(fieldValue) + " does not fit field " + name + " of " + width() + " bits");
    }

    @Override
    public String toString() {
        return name + " " + (high == low ? Integer.toString(high) : high + ":" + low)
                + (word == 0 ? "" : " of word " + word);
    }
}
