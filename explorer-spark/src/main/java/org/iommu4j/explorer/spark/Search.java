// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer.spark;

import java.io.IOException;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.BooleanSupplier;
import java.util.stream.IntStream;
import org.apache.spark.Partitioner;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.JavaFutureAction;
import org.apache.spark.api.java.JavaSparkContext;
import org.iommu4j.explorer.Bounds;
import org.iommu4j.explorer.Cover;
import org.iommu4j.explorer.Ended;
import org.iommu4j.explorer.Report;
import org.iommu4j.explorer.TransitionSystem;
import org.iommu4j.explorer.Violation;
import org.jspecify.annotations.Nullable;
import scala.Tuple2;

/** A breadth-first search by rounds, from the driver's side. */
final class Search {
    private static final long MILLIS_BETWEEN_CHECKS = 100;

    private final JavaSparkContext spark;
    private final Checkpoint checkpoint;
    private final Worlds worlds;
    private final boolean symmetry;

    Search(JavaSparkContext spark, Checkpoint checkpoint, Worlds worlds, boolean symmetry) {
        this.spark = spark;
        this.checkpoint = checkpoint;
        this.worlds = worlds;
        this.symmetry = symmetry;
    }

    /** Divides rows by their fingerprints. */
    private static final class Parts extends Partitioner {
        private static final long serialVersionUID = 1;

        private final int parts;

        Parts(int parts) {
            this.parts = parts;
        }

        @Override
        public int numPartitions() {
            return parts;
        }

        @Override
        public int getPartition(Object key) {
            return ((Row) key).part(parts);
        }
    }

    /** Why a round did not end, asked while it runs. */
    private record Stop(BooleanSupplier asked, long deadline) {
        @Nullable
        Ended reason() {
            if (asked.getAsBoolean() || Thread.currentThread().isInterrupted()) {
                return Ended.INTERRUPTED;
            }
            return System.nanoTime() - deadline >= 0 ? Ended.TIME : null;
        }
    }

    Report explore(Bounds bounds, BooleanSupplier asked) throws IOException {
        long start = System.nanoTime();
        Stop stop = new Stop(asked, start + bounds.time().toNanos());
        TransitionSystem system = worlds.take();
        Optional<Progress> last = checkpoint.last();
        Progress progress = last.isPresent() ? last.get() : begun(system);
        long before = progress.nanos();
        Ended ended = resting(progress, bounds);
        while (ended == null) {
            ended = round(checkpoint.round(progress.depth() + 1), stop);
            if (ended == null) {
                progress = progress.after(tally(progress.depth() + 1), System.nanoTime() - start);
                checkpoint.commit(progress);
                ended = resting(progress, bounds);
            }
        }
        Finding finding = progress.tally().finding();
        Optional<Violation> violation = finding == null ? Optional.empty() : Optional.of(violation(system, finding));
        long nanos = before + System.nanoTime() - start;
        return new Report(cover(progress, ended, nanos, system.isFingerprintExact()), violation);
    }

    /** Finds the initial state. */
    private Progress begun(TransitionSystem system) throws IOException {
        Round round = checkpoint.round(0);
        checkpoint.begin(round);
        system.reset();
        Row row = Row.of(system, symmetry, new char[0]);
        Tuple2<Row, Integer> initial = new Tuple2<>(row, Row.violated(system.properties()));
        Tally tally = Tally.NONE;
        for (int part = 0; part < checkpoint.parts(); part++) {
            List<Tuple2<Row, Integer>> rows = row.part(checkpoint.parts()) == part ? List.of(initial) : List.of();
            merge(round, part, rows.iterator());
            tally = tally.plus(round.tally(Round.Kind.MERGED, part));
        }
        Progress progress = new Progress(0, tally.states(), tally, 0);
        checkpoint.commit(progress);
        return progress;
    }

    private static void merge(Round round, int part, Iterator<Tuple2<Row, Integer>> rows) throws IOException {
        try (Merge merge = new Merge(round, part)) {
            merge.write(rows);
        }
    }

    /** Returns why there is nothing more to do; null if there is. */
    private static @Nullable Ended resting(Progress progress, Bounds bounds) {
        if (progress.tally().finding() != null) {
            return Ended.VIOLATION;
        }
        if (progress.found() == 0) {
            return Ended.COMPLETE;
        }
        if (progress.depth() >= bounds.depth()) {
            return Ended.DEPTH;
        }
        // Here that many states are no limit: nothing numbers them.
        boolean bounded = bounds.states() < Bounds.MAX_STATES;
        return bounded && progress.tally().states() >= bounds.states() ? Ended.STATES : null;
    }

    /** Finds the states of a round; returns null, or why it did not end. */
    private @Nullable Ended round(Round round, Stop stop) throws IOException {
        Ended reason = stop.reason();
        if (reason != null) {
            return reason;
        }
        checkpoint.begin(round);
        int parts = checkpoint.parts();
        Round before = round.previous();
        Worlds systems = worlds;
        boolean folded = symmetry;
        JavaFutureAction<Void> action = spark.parallelize(
                        IntStream.range(0, parts).boxed().toList(), parts)
                .mapPartitionsToPair(numbers -> new Expansion(before, numbers.next(), systems, folded))
                .repartitionAndSortWithinPartitions(new Parts(parts))
                .foreachPartitionAsync(rows -> merge(round, TaskContext.getPartitionId(), rows));
        while (reason == null) {
            try {
                action.get(MILLIS_BETWEEN_CHECKS, TimeUnit.MILLISECONDS);
                return null;
            } catch (TimeoutException e) {
                reason = stop.reason();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt(); // as the local engine leaves it
                reason = Ended.INTERRUPTED;
            } catch (ExecutionException e) {
                // Ctrl-C ends Spark as well as the exploration.
                if (stop.reason() == null) {
                    throw new IllegalStateException(
                            "round " + round.depth() + " failed on Spark: " + e.getCause(), e.getCause());
                }
                return stop.reason();
            }
        }
        action.cancel(true);
        return reason;
    }

    private Tally tally(int depth) throws IOException {
        Round round = checkpoint.round(depth);
        Tally tally = Tally.NONE;
        for (int part = 0; part < checkpoint.parts(); part++) {
            tally = tally.plus(round.tally(Round.Kind.EXPANDED, part)).plus(round.tally(Round.Kind.MERGED, part));
        }
        return tally;
    }

    private Violation violation(TransitionSystem system, Finding finding) {
        Row row = finding.row();
        Violation violation = Violation.retraced(system, row.actions(), finding.property());
        if (!Row.of(system, symmetry, row.path()).equals(row)) {
            throw new IllegalStateException(
                    "the system is no function of its actions: elsewhere led " + violation.path());
        }
        return violation;
    }

    private Cover cover(Progress progress, Ended ended, long nanos, boolean exact) throws IOException {
        long states = progress.tally().states();
        double collisions = exact ? 0 : states * (states - 1.0) / 2 / 0x1p128;
        int farthest = progress.found() == 0 ? progress.depth() - 1 : progress.depth();
        return new Cover(
                states, progress.tally().transitions(), farthest, ended, nanos, 0, checkpoint.bytes(), collisions);
    }
}
