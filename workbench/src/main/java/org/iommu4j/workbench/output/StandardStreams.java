// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.output;

import java.io.ByteArrayOutputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import org.iommu4j.host.Printable;

/** Standard output and standard error of the command; both go through a {@link PrintableWriter}. */
public final class StandardStreams {
    private final PrintableWriter out;
    private final PrintableWriter err;
    private final PrintWriter printer;
    private final PrintWriter messages;
    private final boolean colours;

    /**
     * Makes the streams of a command.
     *
     * @param colours whether what is printed to {@code out} may be coloured
     */
    public StandardStreams(OutputStream out, OutputStream err, Charset charset, boolean colours) {
        this.out = new PrintableWriter(out, charset, colours);
        this.err = new PrintableWriter(err, charset, false);
        this.printer = new PrintWriter(this.out);
        this.messages = new PrintWriter(this.err, true);
        this.colours = colours;
    }

    /**
     * Opens the process's own, for the command and for what else prints in it: logging, and threads that end by an
     * exception.
     *
     * <p>Java's own streams are not used since they keep quiet about what can't be written.
     */
    @SuppressWarnings("resource") // the process's, open until it ends
    public static StandardStreams open() {
        StandardStreams streams = new StandardStreams(
                new FileOutputStream(FileDescriptor.out),
                new FileOutputStream(FileDescriptor.err),
                charset(),
                Terminal.hasColours());
        System.setOut(stream(streams.printer));
        System.setErr(stream(streams.messages));
        return streams;
    }

    /** The launcher names it where the locale's own can't hold names of files. */
    private static Charset charset() {
        String name = System.getProperty("stdout.encoding", System.getProperty("native.encoding", "UTF-8"));
        return Charset.isSupported(name) ? Charset.forName(name) : StandardCharsets.US_ASCII;
    }

    private static PrintStream stream(PrintWriter writer) {
        Charset charset = Charset.defaultCharset();
        return new PrintStream(new Decoding(writer, charset), true, charset);
    }

    /** Returns where answers are printed. */
    public PrintWriter out() {
        return printer;
    }

    /** Returns where messages are printed. */
    public PrintWriter err() {
        return messages;
    }

    /** Returns whether answers may be coloured. */
    public boolean colours() {
        return colours;
    }

    /**
     * Flushes both, and reports a failed write; a pipe that its reader closed is not reported, as is the custom.
     *
     * @return whether all was written
     */
    public boolean finish() {
        try {
            printer.flush();
        } catch (OutputException e) {
            complain(e);
        }
        try {
            messages.flush();
        } catch (OutputException e) {
            return false; // there is no stream left to report it
        }
        return out.failure() == null && err.failure() == null;
    }

    private void complain(OutputException e) {
        String why = String.valueOf(e.getCause() == null ? e : e.getCause().getMessage());
        if (!why.contains("Broken pipe")) {
            try {
                messages.println(Printable.line("iommu4j: standard output can't be written (" + why + ")"));
            } catch (OutputException second) {
                e.addSuppressed(second);
            }
        }
    }

    /** Bytes of text in a charset, on their way to a writer. */
    private static final class Decoding extends OutputStream {
        private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        private final PrintWriter writer;
        private final Charset charset;

        Decoding(PrintWriter writer, Charset charset) {
            this.writer = writer;
            this.charset = charset;
        }

        @Override
        public void write(int b) {
            bytes.write(b);
        }

        @Override
        public void write(byte[] text, int offset, int length) {
            bytes.write(text, offset, length);
        }

        @Override
        public void flush() throws IOException {
            writer.write(bytes.toString(charset));
            bytes.reset();
            writer.flush();
        }
    }
}
