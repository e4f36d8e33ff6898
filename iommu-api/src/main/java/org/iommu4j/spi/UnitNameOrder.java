// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.spi;

import java.util.Comparator;

/**
 * The order of units' names: numbers in them by value, whether decimal or hex, and before all else; the rest by
 * character.
 *
 * <p>So {@code dmar2} is before {@code dmar10}, {@code smmu3.0x9050000} before {@code smmu3.0x0a000000}, and the units
 * of one driver are together. Names that differ only in leading zeros are two names.
 */
final class UnitNameOrder {
    static final Comparator<String> BY_NUMBER =
            ((Comparator<String>) UnitNameOrder::compare).thenComparing(Comparator.naturalOrder());

    private UnitNameOrder() {}

    /** A number is a run of hex digits: of two without leading zeros the shorter is the lower. */
    private static int compare(String a, String b) {
        int i = 0;
        int j = 0;
        while (i < a.length() && j < b.length()) {
            int endOfA = endOfNumber(a, i);
            int endOfB = endOfNumber(b, j);
            boolean numberInA = endOfA > i;
            boolean numberInB = endOfB > j;
            if (numberInA != numberInB) {
                return numberInA ? -1 : 1;
            }
            if (!numberInA) {
                int order = Character.compare(a.charAt(i), b.charAt(j));
                if (order != 0) {
                    return order;
                }
                i++;
                j++;
                continue;
            }
            String first = withoutZeros(a, i, endOfA);
            String second = withoutZeros(b, j, endOfB);
            int order = Integer.compare(first.length(), second.length());
            if (order == 0) {
                order = first.compareTo(second);
            }
            if (order != 0) {
                return order;
            }
            i = endOfA;
            j = endOfB;
        }
        return Integer.compare(a.length() - i, b.length() - j);
    }

    private static int endOfNumber(String name, int start) {
        int end = start;
        while (end < name.length() && Character.digit(name.charAt(end), 16) >= 0) {
            end++;
        }
        return end;
    }

    private static String withoutZeros(String name, int start, int end) {
        int first = start;
        while (first < end - 1 && name.charAt(first) == '0') {
            first++;
        }
        return name.substring(first, end);
    }
}
