// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer;

import java.io.Closeable;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayDeque;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The states of one depth that one worker has to expand, as words, first in, first out.
 *
 * <p>Blocks stay in memory until the worker's {@link Blocks} are full; later ones go to a file and come back in their
 * order. A state is written and read in place: {@link #writeBlock} and {@link #writeAt}, {@link #readBlock} and {@link
 * #readAt}.
 */
final class Frontier implements Closeable {
    private final int words;
    private final int blockEnd;
    private final Blocks blocks;
    private final Path directory;
    private final ArrayDeque<long[]> inMemory = new ArrayDeque<>();
    private final ByteBuffer bytes = ByteBuffer.allocate(Blocks.WORDS * Long.BYTES);

    private @Nullable FileChannel file;
    private long fileRead;
    private long fileWritten;
    private long spilled;

    private long[] tail;
    private int tailAt;
    private long @Nullable [] head;
    private int headAt;

    Frontier(int words, Blocks blocks, Path directory) {
        this.words = words;
        this.blockEnd = Blocks.WORDS / words * words;
        this.blocks = blocks;
        this.directory = directory;
        this.tail = blocks.take();
    }

    /** Returns the block that takes the next state. */
    long[] writeBlock() {
        return tail;
    }

    /** Returns where in {@link #writeBlock} the next state goes. */
    int writeAt() {
        return tailAt;
    }

    /** Keeps the state that was written there. */
    void added() {
        tailAt += words;
        if (tailAt == blockEnd) {
            long[] full = tail;
            tailAt = 0;
            if (fileWritten > fileRead || blocks.isFull()) {
                write(full);
            } else {
                inMemory.add(full);
                tail = blocks.take();
            }
        }
    }

    /** Goes to the next state to read; returns false if there is none. */
    boolean advance() {
        if (head != null) {
            headAt += words;
            if (headAt < (head == tail ? tailAt : blockEnd)) {
                return true;
            }
            if (head == tail) {
                headAt -= words;
                return false;
            }
            blocks.give(head);
        }
        head = inMemory.poll();
        headAt = 0;
        if (head == null && fileRead < fileWritten) {
            head = read();
        }
        if (head == null && tailAt > 0) {
            head = tail;
        }
        return head != null;
    }

    /** Returns the block that has the state to read. */
    long[] readBlock() {
        return Objects.requireNonNull(head);
    }

    /** Returns where in {@link #readBlock} that state begins. */
    int readAt() {
        return headAt;
    }

    /** Returns whether nothing was added since the last {@link #clear}. */
    boolean isEmpty() {
        return tailAt == 0 && inMemory.isEmpty() && fileWritten == 0 && head == null;
    }

    /** Forgets all states, after the last of them was read. */
    void clear() {
        head = null;
        headAt = 0;
        tailAt = 0;
        fileRead = 0;
        fileWritten = 0;
    }

    /** Returns how many bytes went to disk so far. */
    long spilled() {
        return spilled;
    }

    private void write(long[] block) {
        bytes.clear();
        bytes.asLongBuffer().put(block);
        try {
            if (file == null) {
                file = FileChannel.open(
                        Files.createTempFile(directory, "frontier", ".spill"),
                        StandardOpenOption.READ,
                        StandardOpenOption.WRITE,
                        StandardOpenOption.DELETE_ON_CLOSE);
            }
            long at = fileWritten;
            while (bytes.hasRemaining()) {
                at += file.write(bytes, at);
            }
        } catch (IOException e) {
            throw new UncheckedIOException("the frontier cannot be written below " + directory, e);
        }
        fileWritten += bytes.capacity();
        spilled += bytes.capacity();
    }

    private long[] read() {
        bytes.clear();
        try {
            long at = fileRead;
            while (bytes.hasRemaining()) {
                int count = Objects.requireNonNull(file).read(bytes, at);
                if (count < 0) {
                    throw new IOException("the file has become shorter");
                }
                at += count;
            }
        } catch (IOException e) {
            throw new UncheckedIOException("the frontier cannot be read again below " + directory, e);
        }
        fileRead += bytes.capacity();
        long[] block = blocks.take();
        bytes.flip();
        bytes.asLongBuffer().get(block);
        return block;
    }

    @Override
    public void close() {
        if (file != null) {
            try {
                file.close();
            } catch (IOException e) {
                throw new UncheckedIOException("a spilled frontier cannot be closed below " + directory, e);
            }
        }
    }
}
