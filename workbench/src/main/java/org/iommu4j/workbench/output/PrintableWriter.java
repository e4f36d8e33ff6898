// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.output;

import java.io.IOException;
import java.io.OutputStream;
import java.io.Writer;
import java.nio.charset.Charset;
import java.nio.charset.CharsetEncoder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.iommu4j.host.Printable;
import org.jspecify.annotations.Nullable;

/**
 * Writes text to a stream so that a terminal obeys nothing in it except line feeds, and colours where they are wanted.
 *
 * <p>Characters that are not printable ({@link Printable}) or not in the stream's character set are written as escapes,
 * which a reader of JSON reads as the same characters. Text reaches the stream in batches of whole lines, or by
 * {@link #flush}. After a failed write, every write fails with an {@link OutputException}, which a
 * {@link java.io.PrintWriter} passes on.
 */
public final class PrintableWriter extends Writer {
    private static final int BUFFER_BYTES = 8192;

    /** Characters that are gathered before lines among them are written. */
    private static final int BATCH = 4096;

    private final OutputStream out;
    private final Charset charset;
    private final CharsetEncoder encoder;
    private final boolean colours;
    private final byte[] buffer = new byte[BUFFER_BYTES];
    private int buffered;
    private char[] pending = new char[2 * BATCH];
    private int length;
    private @Nullable IOException failure;

    /**
     * Makes a writer.
     *
     * @param charset of the stream; one in which ASCII is not itself is replaced by UTF-8
     * @param colours whether the sequences that set colours (ECMA-48 SGR) pass
     */
    public PrintableWriter(OutputStream out, Charset charset, boolean colours) {
        this.out = out;
        this.charset = keepsAscii(charset) ? charset : StandardCharsets.UTF_8;
        this.encoder = this.charset.newEncoder();
        this.colours = colours;
    }

    private static boolean keepsAscii(Charset charset) {
        return charset.canEncode() && "{\n".equals(new String("{\n".getBytes(charset), StandardCharsets.US_ASCII));
    }

    /** Returns why a write failed; null while none has. */
    public @Nullable IOException failure() {
        synchronized (lock) {
            return failure;
        }
    }

    @Override
    public void write(char[] text, int offset, int count) {
        synchronized (lock) {
            makeRoom(count);
            System.arraycopy(text, offset, pending, length, count);
            length += count;
            writeLines(length - count);
        }
    }

    @Override
    public void write(String text, int offset, int count) {
        synchronized (lock) {
            makeRoom(count);
            text.getChars(offset, offset + count, pending, length);
            length += count;
            writeLines(length - count);
        }
    }

    private void makeRoom(int count) {
        if (count > pending.length - length) {
            pending = Arrays.copyOf(pending, Math.max(Math.addExact(length, count), 2 * length));
        }
    }

    @Override
    public void flush() {
        synchronized (lock) {
            emit(length);
            drain();
            try {
                out.flush();
            } catch (IOException e) {
                throw failed(e);
            }
        }
    }

    /** Flushes; the stream stays open, since it is the process's. */
    @Override
    public void close() {
        flush();
    }

    /** Writes what is pending when it is much, up to the last line that ends in its newest part. */
    private void writeLines(int newest) {
        if (length < BATCH) {
            return;
        }
        int end = length;
        while (end > newest && pending[end - 1] != '\n') {
            end--;
        }
        if (end > newest) {
            emit(end);
        }
    }

    /** Writes the first characters that are pending. */
    private void emit(int end) {
        int i = 0;
        while (i < end) {
            char c = pending[i];
            if ((c >= ' ' && c < 0x7f) || c == '\n') {
                put((byte) c);
                i++;
            } else {
                i = special(i, end);
            }
        }
        length -= end;
        System.arraycopy(pending, end, pending, 0, length);
    }

    /** Writes what is not ASCII, a colour, or an escape, and returns where it ends. */
    private int special(int start, int end) {
        int after = colours && pending[start] == 0x1b ? colourEnd(start, end) : 0;
        if (after > 0) {
            for (int i = start; i < after; i++) {
                put((byte) pending[i]);
            }
            return after;
        }
        int codePoint = Character.codePointAt(pending, start, end);
        encode(codePoint);
        return start + Character.charCount(codePoint);
    }

    /**
     * Returns where a sequence that sets a colour ends: ESC, a bracket, digits and semicolons, an m; 0 when it is none.
     */
    private int colourEnd(int start, int end) {
        int i = start + 1;
        if (i == end || pending[i++] != '[') {
            return 0;
        }
        while (i < end && ((pending[i] >= '0' && pending[i] <= '9') || pending[i] == ';')) {
            i++;
        }
        return i < end && pending[i] == 'm' ? i + 1 : 0;
    }

    private void encode(int codePoint) {
        String character = Character.toString(codePoint);
        if (Printable.isPrintable(codePoint) && encoder.canEncode(character)) {
            put(character.getBytes(charset));
            return;
        }
        put(Printable.escape(codePoint).getBytes(StandardCharsets.US_ASCII));
    }

    private void put(byte[] bytes) {
        for (byte b : bytes) {
            put(b);
        }
    }

    private void put(byte b) {
        if (buffered == buffer.length) {
            drain();
        }
        buffer[buffered++] = b;
    }

    private void drain() {
        IOException before = failure;
        if (before != null) {
            throw new OutputException(before);
        }
        int bytes = buffered;
        buffered = 0;
        if (bytes == 0) {
            return;
        }
        try {
            out.write(buffer, 0, bytes);
        } catch (IOException e) {
            throw failed(e);
        }
    }

    private OutputException failed(IOException e) {
        failure = e;
        length = 0;
        return new OutputException(e);
    }
}
