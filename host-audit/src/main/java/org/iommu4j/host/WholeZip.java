// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.io.IOException;
import java.io.InputStream;
import java.util.zip.ZipInputStream;

/** A zip read from the start, of which the library notices only inside an entry that a part is missing. */
final class WholeZip extends ZipInputStream {
    /** Begins the record at the end of every zip. */
    private static final int END_RECORD = 'P' << 24 | 'K' << 16 | 5 << 8 | 6;

    WholeZip(InputStream in) {
        super(in);
    }

    /**
     * Returns whether the end is there, behind the list of entries.
     *
     * @param max bytes that are read to find it
     */
    boolean ended(long max) throws IOException {
        int last = 0;
        for (long read = 0; read < max; read++) {
            int next = in.read();
            if (next < 0) {
                return false;
            }
            last = last << 8 | next;
            if (last == END_RECORD) {
                return true;
            }
        }
        return false;
    }
}
