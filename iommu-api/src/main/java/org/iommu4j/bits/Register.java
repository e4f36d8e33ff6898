// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.bits;

import java.util.EnumMap;
import java.util.Map;
import java.util.Objects;

/**
 * A memory-mapped register: a one-word layout at an offset, with an access mode for each field.
 *
 * <p>Declared as a chain in the manual's order: {@code Register.of("FSTS", 0x34, 32, "VT-d 11.4.9")
 * .field(PFO, Access.WRITE_1_TO_CLEAR).field(PPF, Access.READ_ONLY)}. Each call checks the fields against each other.
 */
public final class Register {
    private final String name;
    private final int offset;
    private final int width;
    private final String source;
    private final Layout layout;
    private final Map<Access, Long> masks;

    private Register(String name, int offset, int width, String source, Layout layout, Map<Access, Long> masks) {
        this.name = name;
        this.offset = offset;
        this.width = width;
        this.source = source;
        this.layout = layout;
        this.masks = masks;
    }

    /**
     * Starts a register without fields.
     *
     * @param offset bytes from the window's base, aligned to the width
     * @param width 32 or 64 bits
     * @param source the manual and its section
     */
    public static Register of(String name, int offset, int width, String source) {
        Objects.requireNonNull(name, "name");
        Objects.requireNonNull(source, "source");
        if (width != 32 && width != 64) {
            throw new IllegalArgumentException("register " + name + " has " + width + " bits, expected 32 or 64");
        }
        if (offset < 0 || offset % (width / 8) != 0) {
            throw new IllegalArgumentException("register " + name + " at 0x" + Integer.toHexString(offset)
                    + " is not aligned to " + width + " bits");
        }
        return new Register(name, offset, width, source, Layout.of(name), new EnumMap<>(Access.class));
    }

    /** Returns this register with one more field. */
    public Register field(BitField field, Access access) {
        Objects.requireNonNull(field, "field");
        Objects.requireNonNull(access, "access");
        if (field.high() >= width) {
            throw new IllegalArgumentException(
                    "field " + field + " is outside register " + name + " of " + width + " bits");
        }
        BitField[] fields = new BitField[layout.fields().size() + 1];
        layout.fields().toArray(fields);
        fields[fields.length - 1] = field;
        Map<Access, Long> newMasks = new EnumMap<>(Access.class);
        newMasks.putAll(masks);
        newMasks.merge(access, field.mask(), (a, b) -> a | b);
        return new Register(name, offset, width, source, Layout.of(name, fields), newMasks);
    }

    /** Returns the manual's name. */
    public String name() {
        return name;
    }

    /** Returns the offset in bytes from the window's base. */
    public int offset() {
        return offset;
    }

    /** Returns the width in bits, 32 or 64. */
    public int width() {
        return width;
    }

    /** Returns the manual and its section. */
    public String source() {
        return source;
    }

    /** Returns the fields. */
    public Layout layout() {
        return layout;
    }

    /** Returns the bits with an access mode. */
    public long mask(Access access) {
        Objects.requireNonNull(access, "access");
        return masks.getOrDefault(access, 0L);
    }

    /**
     * Returns the value after software's write, as the access modes say.
     *
     * <p>Write-only bits read as 0 and reserved bits stay as they are; acting on commands is the caller's.
     */
    public long afterWrite(long current, long written) {
        long writable = mask(Access.READ_WRITE) | mask(Access.NOT_MODELLED);
        long cleared = mask(Access.WRITE_1_TO_CLEAR) & written;
        return ((current & ~writable) | (written & writable)) & ~cleared & ~mask(Access.WRITE_ONLY);
    }

    /** Decodes a value for a message. */
    public String decode(long value) {
        return layout.decode(width == 32 ? value & 0xffffffffL : value);
    }

    @Override
    public String toString() {
        return name + " at 0x" + Integer.toHexString(offset) + " (" + source + ")";
    }
}
