// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer.spark;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import org.jspecify.annotations.Nullable;

/**
 * What is counted, of a part or of all.
 *
 * @param states states found
 * @param transitions actions performed
 * @param finding the violation to report, null for none
 */
record Tally(long states, long transitions, @Nullable Finding finding) {
    static final Tally NONE = new Tally(0, 0, null);

    Tally plus(Tally other) {
        return new Tally(states + other.states, transitions + other.transitions, Finding.first(finding, other.finding));
    }

    void write(DataOutput output) throws IOException {
        output.writeLong(states);
        output.writeLong(transitions);
        output.writeBoolean(finding != null);
        if (finding != null) {
            output.writeInt(finding.property());
            output.writeLong(finding.row().high());
            output.writeLong(finding.row().low());
            output.writeUTF(new String(finding.row().path()));
        }
    }

    static Tally read(DataInput input) throws IOException {
        long states = input.readLong();
        long transitions = input.readLong();
        if (!input.readBoolean()) {
            return new Tally(states, transitions, null);
        }
        int property = input.readInt();
        Row row = new Row(input.readLong(), input.readLong(), input.readUTF().toCharArray());
        return new Tally(states, transitions, new Finding(property, row));
    }
}
