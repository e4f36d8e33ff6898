// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveInputStream;
import org.jspecify.annotations.Nullable;

/**
 * An untrusted tar: it records whether the tar ends properly, and bounds the size of an entry's description.
 *
 * <p>The library takes the end of the file, even in the middle of a header, for the end of the tar. A tar ends with
 * blocks of zeros: standard ones have two, and one is enough to know that nothing is missing. Names and attributes of
 * an entry, which may be in entries before it, the library holds in memory, however long they are.
 */
final class WholeTar extends TarArchiveInputStream {
    /**
     * Bytes that may describe one entry; Linux's longest path and all extended attributes that a file system holds are
     * less.
     */
    private static final int MAX_HEADER_BYTES = 1 << 20;

    private final Metered metered;
    private boolean ended;

    WholeTar(InputStream in) {
        this(new Metered(in));
    }

    private WholeTar(Metered metered) {
        super(metered);
        this.metered = metered;
    }

    @Override
    protected boolean isEOFRecord(byte @Nullable [] block) {
        boolean end = super.isEOFRecord(block);
        ended |= end && block != null;
        return end;
    }

    boolean ended() {
        return ended;
    }

    /** Returns how many bytes were read so far. */
    long position() {
        return metered.position;
    }

    /**
     * Skips what is left of an entry and goes on to the next one.
     *
     * @throws IOException also when more than {@value #MAX_HEADER_BYTES} bytes describe it
     */
    @Nullable
    TarArchiveEntry next() throws IOException {
        if (getCurrentEntry() != null) {
            skip(Long.MAX_VALUE);
        }
        metered.end = metered.position + MAX_HEADER_BYTES;
        try {
            return getNextEntry();
        } finally {
            metered.end = Long.MAX_VALUE;
        }
    }

    /** Counts what is read, and reads no further than it may. */
    private static final class Metered extends FilterInputStream {
        private long position;
        private long end = Long.MAX_VALUE;

        Metered(InputStream in) {
            super(in);
        }

        @Override
        public int read() throws IOException {
            int next = super.read();
            moved(next < 0 ? 0 : 1);
            return next;
        }

        @Override
        public int read(byte[] bytes, int offset, int length) throws IOException {
            int read = super.read(bytes, offset, length);
            moved(Math.max(0, read));
            return read;
        }

        @Override
        public long skip(long bytes) throws IOException {
            long skipped = super.skip(bytes);
            moved(skipped);
            return skipped;
        }

        private void moved(long bytes) throws IOException {
            position += bytes;
            if (position > end) {
                throw new IOException(
                        "name and attributes of an entry are longer than " + (MAX_HEADER_BYTES >> 20) + " MiB");
            }
        }
    }
}
