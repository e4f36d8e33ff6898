// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.nio.charset.StandardCharsets;
import java.util.Collection;
import java.util.List;

/**
 * Finds which of some words are in a line of a text, looking at each byte once: a line without any never becomes a
 * string.
 *
 * <p>A word may begin where its first four bytes stand; a bit map of their hashes excludes nearly all other places,
 * and there the words are compared.
 */
final class WordFilter {
    /** Each word has a bit. */
    static final int MAX_WORDS = Long.SIZE;

    private static final int HEAD = 4;
    private static final int MIX = 0x9e3779b1;
    private static final int HASH_BITS = 16;

    private final long[] heads = new long[(1 << HASH_BITS) >>> 6];
    private final byte[][] words;

    /**
     * Makes a filter.
     *
     * @param words at most 64, of at least four characters each
     */
    WordFilter(Collection<String> words) {
        this.words = List.copyOf(words).stream()
                .map(word -> word.getBytes(StandardCharsets.UTF_8))
                .toArray(byte[][]::new);
        if (this.words.length > MAX_WORDS) {
            throw new IllegalArgumentException(this.words.length + " words, expected at most " + MAX_WORDS);
        }
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

    /** Returns the words in a part of a text, a bit for each by its place in the list. */
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
                found |= 1L << i;
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
