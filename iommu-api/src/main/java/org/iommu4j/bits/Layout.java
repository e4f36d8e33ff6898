// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.bits;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/**
 * A structure of one or more 64-bit words and its fields.
 *
 * <p>Declaring it checks it: a field outside the structure, two fields that overlap or two of one name are refused.
 * Bits that no field names are reserved.
 *
 * @param name the structure's name, with the manual's section
 * @param words how many 64-bit words
 * @param fields the fields in the manual's order
 */
public record Layout(String name, int words, List<BitField> fields) {
    /** Checks the fields against each other. */
    public Layout {
        Objects.requireNonNull(name, "name");
        fields = List.copyOf(fields);
        long[] taken = new long[words];
        List<String> names = new ArrayList<>();
        for (BitField field : fields) {
            if (field.word() >= words) {
                throw new IllegalArgumentException(name + ": field " + field + " is outside its " + words + " words");
            }
            if ((taken[field.word()] & field.mask()) != 0) {
                throw new IllegalArgumentException(name + ": field " + field + " overlaps an earlier one");
            }
            if (names.contains(field.name())) {
                throw new IllegalArgumentException(name + ": two fields are called " + field.name());
            }
            taken[field.word()] |= field.mask();
            names.add(field.name());
        }
    }

    /** Makes a layout of several words. */
    public static Layout of(String name, int words, BitField... fields) {
        return new Layout(name, words, List.of(fields));
    }

    /** Makes a layout of one word. */
    public static Layout of(String name, BitField... fields) {
        return new Layout(name, 1, List.of(fields));
    }

    /** Returns the bits of a word that no field names. */
    public long reserved(int word) {
        long named = 0;
        for (BitField field : fields) {
            if (field.word() == word) {
                named |= field.mask();
            }
        }
        return ~named;
    }

    /** Decodes words for a message: the fields that are not zero, and any reserved bits that are set. */
    public String decode(long... values) {
        StringBuilder text = new StringBuilder(name);
        for (int i = values.length - 1; i >= 0; i--) {
            text.append(i == values.length - 1 ? " 0x" : "_").append(String.format("%016x", values[i]));
        }
        for (BitField field : fields) {
            long value = field.get(values[field.word()]);
            if (value != 0) {
                text.append(' ')
                        .append(field.name())
                        .append('=')
                        .append(value < 10 && value > 0 ? "" : "0x")
                        .append(Long.toHexString(value));
            }
        }
        for (int i = 0; i < values.length; i++) {
            long extra = values[i] & reserved(i);
            if (extra != 0) {
                text.append(" reserved[").append(i).append("]=0x").append(Long.toHexString(extra));
            }
        }
        return text.toString();
    }
}
