// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer.spark;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/**
 * How far an exploration is.
 *
 * @param depth of the last round
 * @param found how many states that round found
 * @param tally of all rounds
 * @param nanos how long they took, in nanoseconds
 */
record Progress(int depth, long found, Tally tally, long nanos) {
    void write(DataOutput output) throws IOException {
        output.writeInt(depth);
        output.writeLong(found);
        tally.write(output);
        output.writeLong(nanos);
    }

    static Progress read(DataInput input) throws IOException {
        return new Progress(input.readInt(), input.readLong(), Tally.read(input), input.readLong());
    }

    /** Returns the progress after one more round. */
    Progress after(Tally round, long took) {
        return new Progress(depth + 1, round.states(), tally.plus(round), nanos + took);
    }
}
