// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.report;

import java.util.Collection;
import java.util.List;

/** Values and lists in sentences and pictures. */
final class Values {
    private Values() {}

    /** Returns a word of memory: hexadecimal, without a prefix. */
    static String of(long value) {
        return Long.toHexString(value);
    }

    /** Returns {@code a}, {@code a and b}, {@code a, b and c}. */
    static String join(Collection<String> words) {
        List<String> all = List.copyOf(words);
        int last = all.size() - 1;
        return last < 1 ? String.join("", all) : String.join(", ", all.subList(0, last)) + " and " + all.get(last);
    }
}
