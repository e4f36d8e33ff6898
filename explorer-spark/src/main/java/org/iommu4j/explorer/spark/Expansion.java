// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer.spark;

import java.io.DataInputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.Queue;
import org.apache.spark.TaskContext;
import org.apache.spark.TaskKilledException;
import org.apache.spark.util.TaskCompletionListener;
import org.iommu4j.explorer.Property;
import org.iommu4j.explorer.TransitionSystem;
import scala.Tuple2;

/**
 * The successors of one part of a round's states, each with the index of the first property that it violates.
 *
 * <p>States are rebuilt by their paths. Sorted, neighbours have most of their path in common, and the system is put
 * back to where they part.
 */
final class Expansion implements Iterator<Tuple2<Row, Integer>> {
    /** How many rows are sorted at once. */
    private static final int CHUNK = 1 << 16;

    /** How many fingerprints are remembered: most successors are successors of neighbours as well. */
    private static final int LATELY = 1 << 16;

    private final Round round;
    private final int part;
    private final Worlds worlds;
    private final boolean symmetry;
    private final TransitionSystem system;
    private final List<Property> properties;
    private final int[] enabled;
    private final TaskContext context;

    private final DataInputStream input;
    private long unread;
    private Row[] chunk = {};
    private int next;

    /** The path on which the system was, and the words of all states on it. */
    private char[] path;

    private final long[] saved;
    private final int words;
    private boolean started;

    private final Row[] lately = new Row[LATELY];
    private final Queue<Tuple2<Row, Integer>> successors = new ArrayDeque<>();
    private Tally tally = Tally.NONE;
    private boolean ended;

    Expansion(Round round, int part, Worlds worlds, boolean symmetry) throws IOException {
        this.round = round;
        this.part = part;
        this.worlds = worlds;
        this.symmetry = symmetry;
        context = TaskContext.get();
        system = worlds.take();
        properties = system.properties();
        enabled = new int[system.actions()];
        words = system.words();
        saved = new long[(round.depth() + 1) * words];
        path = new char[round.depth()];
        unread = round.found(part);
        input = round.open(Round.Kind.FOUND, part);
        context.addTaskCompletionListener((TaskCompletionListener) ended -> close());
    }

    private void close() {
        try {
            input.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public boolean hasNext() {
        try {
            while (successors.isEmpty() && !ended) {
                advance();
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return !successors.isEmpty();
    }

    @Override
    public Tuple2<Row, Integer> next() {
        if (!hasNext()) {
            throw new NoSuchElementException();
        }
        return successors.remove();
    }

    private void advance() throws IOException {
        if (context.isInterrupted()) {
            throw new TaskKilledException();
        }
        if (next == chunk.length) {
            readChunk();
        }
        if (chunk.length == 0) {
            ended = true;
            Round.write(round.next().file(Round.Kind.EXPANDED, part), tally::write);
            worlds.giveBack(system);
        } else {
            expand(chunk[next++]);
        }
    }

    private void readChunk() throws IOException {
        chunk = new Row[(int) Math.min(CHUNK, unread)];
        unread -= chunk.length;
        for (int i = 0; i < chunk.length; i++) {
            long high = input.readLong();
            long low = input.readLong();
            char[] way = new char[round.depth()];
            for (int step = 0; step < way.length; step++) {
                way[step] = input.readChar();
            }
            chunk[i] = new Row(high, low, way);
        }
        Arrays.sort(chunk, Comparator.comparing(Row::path, Arrays::compare));
        next = 0;
    }

    private void expand(Row row) {
        goTo(row);
        int count = system.enabled(enabled);
        Finding stuck = count == 0 && !system.mayRest() ? new Finding(properties.size(), row) : null;
        tally = tally.plus(new Tally(0, count, stuck));
        int at = round.depth() * words;
        for (int i = 0; i < count; i++) {
            if (i > 0) {
                system.undo(saved, at);
            }
            system.apply(enabled[i]);
            char[] way = Arrays.copyOf(path, path.length + 1);
            way[path.length] = (char) enabled[i];
            Row successor = Row.of(system, symmetry, way);
            if (isNew(successor)) {
                successors.add(new Tuple2<>(successor, Row.violated(properties)));
            }
        }
    }

    private boolean isNew(Row row) {
        int slot = (int) row.low() & (LATELY - 1);
        Row other = lately[slot];
        lately[slot] = row;
        return other == null || other.high() != row.high() || other.low() != row.low();
    }

    private void goTo(Row row) {
        int common = started ? Arrays.mismatch(path, row.path()) : 0;
        if (started) {
            common = common < 0 ? path.length : common;
            system.restore(saved, common * words);
        } else {
            system.reset();
            system.save(saved, 0);
            started = true;
        }
        path = row.path();
        for (int step = common; step < path.length; step++) {
            system.apply(path[step]);
            system.save(saved, (step + 1) * words);
        }
        Row arrived = Row.of(system, symmetry, path);
        if (!arrived.equals(row)) {
            throw new IllegalStateException("the system is no function of its actions: elsewhere led the path "
                    + Arrays.toString(row.actions()));
        }
    }
}
