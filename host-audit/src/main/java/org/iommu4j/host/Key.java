// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.util.function.Function;
import org.iommu4j.bits.Hex;

/**
 * The name and type of a fact about a host, a function, a unit or a group. Two keys of one name are the same.
 *
 * @param words what it is called in a warning
 * @param type of the values
 * @param shown a value in a warning
 * @param mustAgree whether inputs that differ contradict each other; names of devices differ with the age of their list
 */
record Key<T>(String words, Class<T> type, Function<? super T, String> shown, boolean mustAgree) {
    /** Makes a key whose values must agree. */
    static <T> Key<T> of(String words, Class<T> type, Function<? super T, String> shown) {
        return new Key<>(words, type, shown, true);
    }

    /** Makes a key whose values may differ. */
    static <T> Key<T> loose(String words, Class<T> type) {
        return new Key<>(words, type, String::valueOf, false);
    }

    /** Makes a key for a number that is shown in hexadecimal. */
    static Key<Long> ofHex(String words) {
        return of(words, Long.class, value -> Hex.of(value));
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Key<?> key && key.words.equals(words);
    }

    @Override
    public int hashCode() {
        return words.hashCode();
    }
}
