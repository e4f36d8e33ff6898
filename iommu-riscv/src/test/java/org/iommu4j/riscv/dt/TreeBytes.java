// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.dt;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/** Writes a flattened device tree token by token, apart from the parser; each property's name is stored anew. */
public final class TreeBytes {
    private final ByteArrayOutputStream structure = new ByteArrayOutputStream();
    private final ByteArrayOutputStream strings = new ByteArrayOutputStream();

    /** Starts a tree, inside of its root. */
    public TreeBytes() {
        begin("");
    }

    /** Begins a node. */
    public TreeBytes begin(String name) {
        word(1);
        structure.writeBytes((name + '\0').getBytes(StandardCharsets.ISO_8859_1));
        return align();
    }

    /** Ends the innermost node. */
    public TreeBytes end() {
        return word(2);
    }

    /** Adds a token that is nothing. */
    public TreeBytes nothing() {
        return word(4);
    }

    /** Adds a property of words. */
    public TreeBytes words(String name, long... words) {
        ByteBuffer value = ByteBuffer.allocate(4 * words.length);
        for (long word : words) {
            value.putInt((int) word);
        }
        return bytes(name, value.array());
    }

    /** Adds a property of strings. */
    public TreeBytes text(String name, String... values) {
        return bytes(name, (String.join("\0", values) + '\0').getBytes(StandardCharsets.ISO_8859_1));
    }

    /** Adds a property. */
    public TreeBytes bytes(String name, byte[] value) {
        word(3).word(value.length).word(strings.size());
        strings.writeBytes((name + '\0').getBytes(StandardCharsets.ISO_8859_1));
        structure.writeBytes(value);
        return align();
    }

    private TreeBytes word(int word) {
        structure.writeBytes(ByteBuffer.allocate(4).putInt(word).array());
        return this;
    }

    private TreeBytes align() {
        while (structure.size() % 4 != 0) {
            structure.write(0);
        }
        return this;
    }

    /** Ends the root, and returns the tree. */
    public byte[] tree() {
        end().word(9);
        ByteBuffer tree = ByteBuffer.allocate(56 + structure.size() + strings.size());
        tree.putInt(0xd00dfeed).putInt(tree.capacity()).putInt(56).putInt(56 + structure.size());
        tree.putInt(40).putInt(17).putInt(16).putInt(0).putInt(strings.size()).putInt(structure.size());
        tree.position(56);
        return tree.put(structure.toByteArray()).put(strings.toByteArray()).array();
    }
}
