// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer.spark;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.util.Iterator;
import org.jspecify.annotations.Nullable;
import scala.Tuple2;

/** Finds out which rows of one part are new: both they and the fingerprints visited come in order. */
final class Merge implements AutoCloseable {
    private final Round round;
    private final int part;
    private final @Nullable DataInputStream visited;
    private final Round.Draft found;
    private final Round.Draft all;

    private long unread;
    private boolean more;
    private long high;
    private long low;
    private Tally tally = Tally.NONE;

    /** Begins the merge of a part, for a round whose directory exists. */
    Merge(Round round, int part) throws IOException {
        this.round = round;
        this.part = part;
        visited = round.depth() == 0 ? null : round.previous().open(Round.Kind.VISITED, part);
        unread = round.depth() == 0 ? 0 : round.previous().visited(part);
        found = new Round.Draft(round.file(Round.Kind.FOUND, part));
        all = new Round.Draft(round.file(Round.Kind.VISITED, part));
    }

    /** Writes the part's files of the round. */
    void write(Iterator<Tuple2<Row, Integer>> rows) throws IOException {
        advance();
        Row last = null;
        while (rows.hasNext()) {
            Tuple2<Row, Integer> each = rows.next();
            Row row = each._1();
            if (last != null && Row.compare(last.high(), last.low(), row.high(), row.low()) == 0) {
                continue;
            }
            last = row;
            int compared = compare(row);
            while (compared < 0) {
                put(all.output(), high, low);
                advance();
                compared = compare(row);
            }
            if (compared > 0) {
                add(row, each._2());
            }
        }
        while (more) {
            put(all.output(), high, low);
            advance();
        }
        found.publish();
        all.publish();
        Round.write(round.file(Round.Kind.MERGED, part), tally::write);
    }

    /** Compares the next fingerprint that was visited with a row's. */
    private int compare(Row row) {
        return more ? Row.compare(high, low, row.high(), row.low()) : 1;
    }

    private void add(Row row, int property) throws IOException {
        put(all.output(), row.high(), row.low());
        put(found.output(), row.high(), row.low());
        for (char action : row.path()) {
            found.output().writeChar(action);
        }
        Finding finding = property == Row.HOLDS ? null : new Finding(property, row);
        tally = tally.plus(new Tally(1, 0, finding));
    }

    private static void put(DataOutputStream output, long high, long low) throws IOException {
        output.writeLong(high);
        output.writeLong(low);
    }

    private void advance() throws IOException {
        more = unread > 0;
        if (more && visited != null) {
            unread--;
            high = visited.readLong();
            low = visited.readLong();
        }
    }

    @Override
    public void close() throws IOException {
        try (visited;
                found;
                all) {
            unread = 0;
        }
    }
}
