// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.spi;

import java.util.Collections;
import java.util.Map;
import java.util.OptionalLong;
import java.util.TreeMap;

/**
 * A copy of one unit's registers, as far as they were read.
 *
 * @param registerBase physical address of the unit's registers
 * @param words 64-bit words, little endian, by offset in bytes, a multiple of 8
 */
public record RegisterDump(long registerBase, Map<Integer, Long> words) {
    /** Copies the map and checks the offsets. */
    public RegisterDump {
        words = Collections.unmodifiableMap(new TreeMap<>(words));
        for (int offset : words.keySet()) {
            if (offset < 0 || (offset & 7) != 0) {
                throw new IllegalArgumentException("register word at offset 0x" + Integer.toHexString(offset)
                        + ", expected a multiple of 8 that is not negative");
            }
        }
    }

    /** Returns the word at an offset in bytes, a multiple of 8, or empty when it was not read. */
    public OptionalLong read64(int offset) {
        Long word = words.get(offset);
        return word == null ? OptionalLong.empty() : OptionalLong.of(word);
    }
}
