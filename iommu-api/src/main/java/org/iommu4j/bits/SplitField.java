// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.bits;

import java.util.List;
import java.util.Objects;

/**
 * A value whose bits a structure keeps in several places, lowest part first.
 *
 * @param name the manual's mnemonic
 * @param parts the places, the least significant bits first
 */
public record SplitField(String name, List<BitField> parts) {
    /** Checks that there are parts and that they fit 64 bits together. */
    public SplitField {
        Objects.requireNonNull(name, "name");
        parts = List.copyOf(parts);
        int width = parts.stream().mapToInt(BitField::width).sum();
        if (parts.isEmpty() || width > 64) {
            throw new IllegalArgumentException(
                    "split field " + name + " has " + width + " bits in " + parts.size() + " parts");
        }
    }

    /** Makes a split field, the least significant part first. */
    public static SplitField of(String name, BitField... parts) {
        return new SplitField(name, List.of(parts));
    }

    /** Reads the value out of a structure's words. */
    public long get(long... words) {
        long value = 0;
        int shift = 0;
        for (int i = 0; i < parts.size(); i++) {
            BitField part = parts.get(i);
            value |= part.get(words[part.word()]) << shift;
            shift += part.width();
        }
        return value;
    }

    /**
     * Writes the value into a structure's words.
     *
     * @throws IllegalArgumentException when the value does not fit
     */
    public void set(long[] words, long value) {
        long rest = value;
        for (int i = 0; i < parts.size(); i++) {
            BitField part = parts.get(i);
            words[part.word()] = part.set(words[part.word()], rest & part.max());
            rest = part.width() == 64 ? 0 : rest >>> part.width();
        }
        if (rest != 0) {
            throw new IllegalArgumentException(
                    "value 0x" + Long.toHexString(value) + " does not fit split field " + name);
        }
    }
}
