// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Locale;
import java.util.StringJoiner;

/** The last things that a test did, for the message of its failure; a test that loops may still add to them. */
public final class Steps {
    private static final int KEPT = 24;

    private final Deque<Object[]> last = new ArrayDeque<>();
    private long count;

    /** Makes an empty account. */
    Steps() {}

    /**
     * Notes a step; the text is made only when somebody reads it.
     *
     * @param format of {@link String#format(String, Object...)}
     */
    public synchronized void note(String format, Object... arguments) {
        if (last.size() == KEPT) {
            last.removeFirst();
        }
        last.addLast(new Object[] {format, arguments});
        count++;
    }

    /** Returns the steps, a line each, numbered from the first step of the test. */
    @Override
    public synchronized String toString() {
        StringJoiner lines = new StringJoiner("\n");
        long number = count - last.size();
        for (Object[] step : last) {
            lines.add("  " + ++number + ". " + String.format(Locale.ROOT, (String) step[0], (Object[]) step[1]));
        }
        return lines.toString();
    }

    synchronized boolean isEmpty() {
        return count == 0;
    }
}
