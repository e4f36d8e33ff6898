// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.pcie;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/**
 * A program for an endpoint: reads, writes and copies of 64-bit words, in order.
 *
 * <p>Each step states whether the device requests no-snoop; Device Control decides whether its requests carry it. A
 * program holds no results and may run many times on many devices.
 */
public final class DmaProgram {
    /** One step. */
    public sealed interface Step permits Read, Write, Copy {}

    /**
     * Reads words and keeps the values.
     *
     * @param iova untranslated address, aligned to 8
     * @param words number of words, from 1
     * @param noSnoop whether no-snoop is requested
     */
    public record Read(long iova, int words, boolean noSnoop) implements Step {}

    /**
     * Writes one value to consecutive words.
     *
     * @param iova untranslated address, aligned to 8
     * @param value the value to write
     * @param words number of words, from 1
     * @param noSnoop whether no-snoop is requested
     */
    public record Write(long iova, long value, int words, boolean noSnoop) implements Step {}

    /**
     * Copies words, ascending.
     *
     * @param from untranslated address, aligned to 8
     * @param to untranslated address, aligned to 8
     * @param words number of words, from 1
     * @param noSnoop whether no-snoop is requested, for the reads and the writes
     */
    public record Copy(long from, long to, int words, boolean noSnoop) implements Step {}

    /**
     * The result of a run.
     *
     * @param completedSteps the number of completed steps; fewer than all when a request was refused
     * @param values the values of the read steps, in order
     */
    public record Result(int completedSteps, List<Long> values) {
        /** Copies the list. */
        public Result {
            values = List.copyOf(values);
        }
    }

    private final List<Step> steps;

    private DmaProgram(List<Step> steps) {
        this.steps = steps;
    }

    /** Makes a program without steps. */
    public static DmaProgram empty() {
        return new DmaProgram(List.of());
    }

    /** Returns this program with a read of one word at its end. */
    public DmaProgram read(long iova, boolean noSnoop) {
        return then(new Read(iova, 1, noSnoop));
    }

    /** Returns this program with a write of one word at its end. */
    public DmaProgram write(long iova, long value, boolean noSnoop) {
        return then(new Write(iova, value, 1, noSnoop));
    }

    /** Returns this program with a copy at its end. */
    public DmaProgram copy(long from, long to, int words, boolean noSnoop) {
        return then(new Copy(from, to, words, noSnoop));
    }

    /** Returns this program with a step at its end. */
    public DmaProgram then(Step step) {
        Objects.requireNonNull(step, "step");
        List<Step> longer = new ArrayList<>(steps);
        longer.add(step);
        return new DmaProgram(List.copyOf(longer));
    }

    /** Returns the steps in order. */
    public List<Step> steps() {
        return steps;
    }
}
