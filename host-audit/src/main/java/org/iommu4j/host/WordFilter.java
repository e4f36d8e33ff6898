// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Finds which groups of words have a word in a line of a text, looking at each byte once: a line without any never
 * becomes a string.
 *
 * <p>A word may begin where its first four bytes stand; a bit map of their hashes excludes nearly all other places,
 * and there the words are compared.
 */
final class WordFilter {
    /** Each group has a bit. */
    static final int MAX_GROUPS = Long.SIZE;

    private static final int HEAD = 4;
    private static final int MIX = 0x9e3779b1;
    private static final int HASH_BITS = 16;

    private final long[] heads = new long[(1 << HASH_BITS) >>> 6];
    private final byte[][] words;

    /** The groups that each word is in, a bit for each by its place in the list. */
    private final long[] groups;

    /**
     * Makes a filter.
     *
     * @param groups at most 64, of words of at least four characters each
     */
    WordFilter(List<List<String>> groups) {
        if (groups.size() > MAX_GROUPS) {
            throw new IllegalArgumentException(groups.size() + " groups of words, expected at most " + MAX_GROUPS);
        }
        Map<String, Long> bits = new LinkedHashMap<>();
        for (int i = 0; i < groups.size(); i++) {
            for (String word : groups.get(i)) {
                bits.merge(word, 1L << i, (one, other) -> one | other);
            }
        }
        this.words = bits.keySet().stream()
                .map(word -> word.getBytes(StandardCharsets.UTF_8))
                .toArray(byte[][]::new);
        this.groups = bits.values().stream().mapToLong(Long::longValue).toArray();
        for (byte[] word : this.words) {
            if (word.length < HEAD) {
                throw new IllegalArgumentException(
                        "word '" + new String(word, StandardCharsets.UTF_8) + "', expected at least 4 characters");
            }
            int hash = hash((word[0] << 24) | ((word[1] & 0xff) << 16) | ((word[2] & 0xff) << 8) | (word[3] & 0xff));
            heads[hash >>> 6] |= 1L << hash;
        }
    }

    private static int hash(int head) {
        return (head * MIX) >>> (Integer.SIZE - HASH_BITS);
    }

    /** Returns the groups with a word in a part of a text, a bit for each by its place in the list. */
    long in(byte[] text, int from, int to) {
        long found = 0;
        int head = 0;
        for (int i = from; i < to; i++) {
            head = (head << 8) | (text[i] & 0xff);
            int hash = hash(head);
            if (((heads[hash >>> 6] >>> hash) & 1) != 0) {
                found |= at(text, Math.max(from, i - HEAD + 1), to);
            }
        }
        return found;
    }

    private long at(byte[] text, int from, int to) {
        long found = 0;
        for (int i = 0; i < words.length; i++) {
            if (isAt(words[i], text, from, to)) {
                found |= groups[i];
            }
        }
        return found;
    }

    private static boolean isAt(byte[] word, byte[] text, int from, int to) {
        if (word.length > to - from) {
            return false;
        }
        for (int i = 0; i < word.length; i++) {
            if (word[i] != text[from + i]) {
                return false;
            }
        }
        return true;
    }
}
