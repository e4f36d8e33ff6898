// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.platform;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * A flattened device tree (DTB) of version 17: nodes with properties, whose meaning is the reader's.
 *
 * <p>The bytes are not trusted. A number that leads outside of its block, and a name that is no name, are refused.
 * Bytes after the declared size are ignored.
 *
 * <p>Source: Devicetree Specification 0.4, chapter 5; words are big endian. Nodes are no deeper than in Linux
 * ({@code FDT_MAX_DEPTH}).
 */
public final class DeviceTree {
    /** What a device tree is called where a table has its signature. */
    public static final String NAME = "device tree";

    private static final int HEADER_BYTES = 40;
    private static final int MAGIC = 0xd00dfeed;
    private static final int VERSION = 17;
    private static final int TOTAL_SIZE = 4;
    private static final int OFFSET_STRUCTURE = 8;
    private static final int OFFSET_STRINGS = 12;
    private static final int OFFSET_RESERVATIONS = 16;
    private static final int OFFSET_VERSION = 20;
    private static final int OFFSET_LAST_COMPATIBLE = 24;
    private static final int SIZE_STRINGS = 32;
    private static final int SIZE_STRUCTURE = 36;

    private static final int BEGIN_NODE = 1;
    private static final int END_NODE = 2;
    private static final int PROPERTY = 3;
    private static final int NOTHING = 4;
    private static final int END = 9;

    private static final int MOST_LEVELS = 64;
    private static final int LONGEST_NAME = 255;

    private final ByteBuffer bytes;
    private final List<Node> nodes = new ArrayList<>();
    private final Map<Long, Node> byPhandle = new HashMap<>();
    private final List<Reservation> reservations = new ArrayList<>();

    /**
     * Memory that firmware keeps.
     *
     * @param address physical address
     * @param size bytes
     */
    public record Reservation(long address, long size) {}

    private DeviceTree(ByteBuffer bytes) {
        this.bytes = bytes;
    }

    // --- reading ---

    /** Returns whether bytes begin as those of a device tree. */
    public static boolean recognises(byte[] bytes) {
        return bytes.length >= Integer.BYTES && ByteBuffer.wrap(bytes).getInt() == MAGIC;
    }

    /**
     * Reads a tree.
     *
     * @throws MalformedTableException when it can't be read; the message has the offset and what was expected
     */
    public static DeviceTree parse(byte[] bytes) {
        Objects.requireNonNull(bytes, "bytes");
        if (bytes.length < HEADER_BYTES) {
            throw malformed(0, bytes.length + " bytes, expected a header of " + HEADER_BYTES);
        }
        ByteBuffer buffer = ByteBuffer.wrap(bytes.clone());
        if (!recognises(bytes)) {
            throw malformed(0, "the magic number is not that of a device tree");
        }
        long size = u32(buffer, TOTAL_SIZE);
        if (size < HEADER_BYTES || size > bytes.length) {
            throw malformed(
                    TOTAL_SIZE,
                    "declared size is " + size + ", expected " + HEADER_BYTES + " to the " + bytes.length
                            + " bytes present");
        }
        long version = u32(buffer, OFFSET_VERSION);
        if (version < VERSION || u32(buffer, OFFSET_LAST_COMPATIBLE) > VERSION) {
            throw malformed(OFFSET_VERSION, "version " + version + ", expected " + VERSION + " or one like it");
        }
        DeviceTree tree = new DeviceTree(buffer.limit((int) size).slice());
        tree.readReservations();
        tree.readStructure();
        return tree;
    }

    private void readReservations() {
        int at = block(OFFSET_RESERVATIONS, 0, 2 * Long.BYTES, Long.BYTES);
        while (true) {
            if (at > bytes.limit() - 2 * Long.BYTES) {
                throw malformed(at, "the list of memory reservations has no end");
            }
            Reservation reservation = new Reservation(bytes.getLong(at), bytes.getLong(at + Long.BYTES));
            if (reservation.address() == 0 && reservation.size() == 0) {
                return;
            }
            reservations.add(reservation);
            at += 2 * Long.BYTES;
        }
    }

    private void readStructure() {
        int structureBytes = size(SIZE_STRUCTURE);
        int start = block(OFFSET_STRUCTURE, structureBytes, 0, Integer.BYTES);
        int stringBytes = size(SIZE_STRINGS);
        int strings = block(OFFSET_STRINGS, stringBytes, 0, 1);
        int end = start + structureBytes;
        Map<Integer, String> names = new HashMap<>();
        List<Node> open = new ArrayList<>();
        int at = start;
        while (true) {
            int token = word(at, end);
            Node innermost = open.isEmpty() ? null : open.get(open.size() - 1);
            switch (token) {
                case BEGIN_NODE -> {
                    if (innermost == null && !nodes.isEmpty()) {
                        throw malformed(at, "a second root");
                    }
                    if (open.size() == MOST_LEVELS) {
                        throw malformed(at, "a node below " + MOST_LEVELS + " others");
                    }
                    String name = name(at + Integer.BYTES, end, innermost == null);
                    Node node = new Node(this, innermost, name);
                    nodes.add(node);
                    open.add(node);
                    at = aligned(at + Integer.BYTES + name.length() + 1);
                }
                case END_NODE -> {
                    if (innermost == null) {
                        throw malformed(at, "the end of a node that did not begin");
                    }
                    open.remove(open.size() - 1);
                    register(innermost);
                    at += Integer.BYTES;
                }
                case PROPERTY -> {
                    if (innermost == null || !innermost.children.isEmpty()) {
                        throw malformed(at, "a property that is not at the begin of a node");
                    }
                    long length = word(at + Integer.BYTES, end) & 0xffff_ffffL;
                    int place = word(at + 2 * Integer.BYTES, end);
                    int value = at + 3 * Integer.BYTES;
                    if (length > end - value) {
                        throw malformed(at + Integer.BYTES, "a property of " + length + " bytes ends behind its block");
                    }
                    if (place < 0 || place >= stringBytes) {
                        throw malformed(
                                at + 2 * Integer.BYTES,
                                "a property's name is at " + Integer.toUnsignedString(place) + " of " + stringBytes
                                        + " bytes of strings");
                    }
                    String name = names.get(place);
                    if (name == null) {
                        name = name(strings + place, strings + stringBytes, false);
                        names.put(place, name);
                    }
                    // Linux finds the first of two with one name.
                    innermost.values.putIfAbsent(name, new Value(value, (int) length));
                    at = aligned(value + (int) length);
                }
                case NOTHING -> at += Integer.BYTES;
                case END -> {
                    if (innermost != null || nodes.isEmpty()) {
                        throw malformed(at, nodes.isEmpty() ? "no root" : "the end inside of a node");
                    }
                    if (at + Integer.BYTES != end) {
                        throw malformed(at, "the end is not the last word of its block");
                    }
                    return;
                }
                default -> throw malformed(at, "no token is " + Integer.toUnsignedString(token));
            }
        }
    }

    /** Returns where a block begins that has room for its bytes, and for at least some. */
    private int block(int field, int size, int least, int alignment) {
        long at = u32(bytes, field);
        if (at < HEADER_BYTES || at % alignment != 0 || at > bytes.limit() - Math.max(size, least)) {
            throw malformed(
                    field,
                    "a block of " + Math.max(size, least) + " bytes at " + at + ", expected a multiple of " + alignment
                            + " from " + HEADER_BYTES + " on, inside of " + bytes.limit() + " bytes");
        }
        return (int) at;
    }

    private int size(int field) {
        long size = u32(bytes, field);
        if (size > bytes.limit()) {
            throw malformed(field, "a block of " + size + " bytes in " + bytes.limit());
        }
        return (int) size;
    }

    private int word(int at, int end) {
        if (at > end - Integer.BYTES) {
            throw malformed(at, "the structure goes on behind its block");
        }
        return bytes.getInt(at);
    }

    /** Reads a name that ends with a NUL before an end. */
    private String name(int at, int end, boolean empty) {
        StringBuilder name = new StringBuilder();
        for (int i = at; ; i++) {
            if (i >= end || name.length() > LONGEST_NAME) {
                throw malformed(at, "a name without an end");
            }
            byte each = bytes.get(i);
            if (each == 0) {
                break;
            }
            if (each <= ' ' || each >= 0x7f || each == '/') {
                throw malformed(i, "a name with the byte " + (each & 0xff) + ", expected printable ASCII without '/'");
            }
            name.append((char) each);
        }
        if (name.isEmpty() != empty) {
            throw malformed(at, empty ? "the root has a name" : "an empty name");
        }
        return name.toString();
    }

    private static int aligned(int at) {
        return (at + Integer.BYTES - 1) & -Integer.BYTES;
    }

    private void register(Node node) {
        OptionalLong handle = node.number("phandle");
        (handle.isPresent() ? handle : node.number("linux,phandle"))
                .ifPresent(phandle -> byPhandle.putIfAbsent(phandle, node));
    }

    private static long u32(ByteBuffer bytes, int at) {
        return bytes.getInt(at) & 0xffff_ffffL;
    }

    private static MalformedTableException malformed(int offset, String what) {
        return new MalformedTableException(NAME, offset, what);
    }

    // --- the tree ---

    /** Returns the root. */
    public Node root() {
        return nodes.get(0);
    }

    /** Returns all nodes, each before those below it, in the tree's order. */
    public List<Node> nodes() {
        return Collections.unmodifiableList(nodes);
    }

    /** Returns the node with a phandle, 32 bits; empty for 0, which stands for no node. */
    public Optional<Node> byPhandle(long phandle) {
        return phandle == 0 ? Optional.empty() : Optional.ofNullable(byPhandle.get(phandle));
    }

    /** Returns the memory that firmware keeps, in the tree's order. */
    public List<Reservation> reservations() {
        return Collections.unmodifiableList(reservations);
    }

    /** Bytes of a property's value, and where they are. */
    private record Value(int offset, int length) {}

    /** A node; two are the same only if they are one object. */
    public static final class Node {
        private final DeviceTree tree;
        private final @Nullable Node parent;
        private final String name;
        private final List<Node> children = new ArrayList<>();
        private final Map<String, Value> values = new LinkedHashMap<>();

        private Node(DeviceTree tree, @Nullable Node parent, String name) {
            this.tree = tree;
            this.parent = parent;
            this.name = name;
            if (parent != null) {
                parent.children.add(this);
            }
        }

        /** Returns its name with its unit address, for example {@code iommu@3010000}; the root's is empty. */
        public String name() {
            return name;
        }

        /** Returns its name without its unit address, for example {@code iommu}. */
        public String nameWithoutAddress() {
            int at = name.indexOf('@');
            return at < 0 ? name : name.substring(0, at);
        }

        /** Returns its names from the root on, for example {@code /soc/iommu@3010000}. */
        public String path() {
            StringBuilder path = new StringBuilder();
            for (Node node = this; node != null && node.parent != null; node = node.parent) {
                path.insert(0, "/" + node.name);
            }
            return path.isEmpty() ? "/" : path.toString();
        }

        /** Returns the node above it, empty for the root. */
        public Optional<Node> parent() {
            return Optional.ofNullable(parent);
        }

        /** Returns the nodes directly below it, in the tree's order. */
        public List<Node> children() {
            return Collections.unmodifiableList(children);
        }

        /** Returns whether it has a property, perhaps without a value. */
        public boolean has(String property) {
            return values.containsKey(Objects.requireNonNull(property, "property"));
        }

        /** Returns how many bytes a property's value has, 0 without it. */
        public int length(String property) {
            Value value = values.get(Objects.requireNonNull(property, "property"));
            return value == null ? 0 : value.length;
        }

        /**
         * Returns the words of a property, 32 bits each; none without it.
         *
         * @throws MalformedTableException when its length is no multiple of 4
         */
        public long[] words(String property) {
            Value value = values.get(Objects.requireNonNull(property, "property"));
            if (value == null) {
                return new long[0];
            }
            if (value.length % Integer.BYTES != 0) {
                throw malformed(
                        value.offset,
                        "'" + property + "' of " + path() + " has " + value.length + " bytes, expected words of 4");
            }
            long[] words = new long[value.length / Integer.BYTES];
            for (int i = 0; i < words.length; i++) {
                words[i] = u32(tree.bytes, value.offset + i * Integer.BYTES);
            }
            return words;
        }

        /** Returns a property that is one word of 32 bits; empty without it, or where it has another length. */
        public OptionalLong number(String property) {
            Value value = values.get(Objects.requireNonNull(property, "property"));
            return value == null || value.length != Integer.BYTES
                    ? OptionalLong.empty()
                    : OptionalLong.of(u32(tree.bytes, value.offset));
        }

        /** Returns the strings of a property, each up to its NUL; none without it. Bytes outside of ASCII are '?'. */
        public List<String> strings(String property) {
            Value value = values.get(Objects.requireNonNull(property, "property"));
            if (value == null || value.length == 0) {
                return List.of();
            }
            byte[] copy = new byte[value.length];
            tree.bytes.get(value.offset, copy);
            for (int i = 0; i < copy.length; i++) {
                if (copy[i] != 0 && (copy[i] < ' ' || copy[i] == 0x7f)) {
                    copy[i] = '?';
                }
            }
            // The last one ends with a NUL; what is behind the last NUL is no string.
            String text = new String(copy, StandardCharsets.US_ASCII);
            List<String> strings = new ArrayList<>();
            int from = 0;
            for (int nul = text.indexOf('\0'); nul >= 0; nul = text.indexOf('\0', from)) {
                strings.add(text.substring(from, nul));
                from = nul + 1;
            }
            return strings;
        }

        /** Returns whether a device is made for this model, as one of its {@code compatible} strings says. */
        public boolean isCompatible(String model) {
            return strings("compatible").contains(Objects.requireNonNull(model, "model"));
        }

        /** Returns whether its device can be used: its {@code status} is absent, {@code okay} or {@code ok}. */
        public boolean isAvailable() {
            if (!has("status")) {
                return true;
            }
            List<String> status = strings("status");
            return !status.isEmpty()
                    && (status.get(0).equals("okay") || status.get(0).equals("ok"));
        }

        @Override
        public String toString() {
            return path();
        }
    }
}
