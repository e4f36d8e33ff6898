// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.qemu;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Base64;
import java.util.Deque;
import java.util.function.Supplier;

/**
 * The qtest protocol: one line of text for each access that a CPU would make, one line in answer.
 *
 * <p>Writes are posted: they are sent, and their answers read, before the next answer that somebody waits for. A
 * silence is a failure that tells what was sent. Thread-safe. Source: the comment at the top of QEMU's
 * {@code softmmu/qtest.c}.
 */
final class QtestSocket implements AutoCloseable {
    /** How many answers may be outstanding: they must all fit the socket's buffer, or both sides would wait to send. */
    private static final int MOST_POSTED = 512;

    private static final int SHOWN = 8;

    private final SocketChannel channel;
    private final Selector selector;
    private final long timeoutMillis;
    private final Supplier<String> diagnosis;
    private final Deque<String> unanswered = new ArrayDeque<>();
    private final StringBuilder toSend = new StringBuilder();
    private final ByteBuffer received = ByteBuffer.allocate(1 << 16);
    private final StringBuilder line = new StringBuilder();

    /**
     * Takes a connection over.
     *
     * @param timeoutMillis how long an answer may take
     * @param diagnosis what else to say when QEMU goes silent
     */
    QtestSocket(SocketChannel channel, long timeoutMillis, Supplier<String> diagnosis) throws IOException {
        this.channel = channel;
        this.timeoutMillis = timeoutMillis;
        this.diagnosis = diagnosis;
        channel.configureBlocking(false);
        selector = Selector.open();
        channel.register(selector, SelectionKey.OP_READ);
        received.flip();
    }

    /** Sends a command whose answer carries nothing but success. */
    synchronized void post(String command) {
        if (unanswered.size() >= MOST_POSTED) {
            settle();
        }
        unanswered.addLast(command);
        toSend.append(command).append('\n');
    }

    /** Sends a command and returns what its answer carries, empty when that is nothing. */
    synchronized String ask(String command) {
        unanswered.addLast(command);
        toSend.append(command).append('\n');
        return settle();
    }

    /** Sends what is posted, waits for all answers and returns the last. */
    private String settle() {
        String answer = "";
        try {
            send();
            while (!unanswered.isEmpty()) {
                answer = answer();
                unanswered.removeFirst();
            }
        } catch (IOException e) {
            throw silent("lost the connection: " + e.getMessage(), e);
        }
        return answer;
    }

    private void send() throws IOException {
        if (toSend.length() == 0) {
            return;
        }
        ByteBuffer bytes = ByteBuffer.wrap(toSend.toString().getBytes(StandardCharsets.US_ASCII));
        toSend.setLength(0);
        while (bytes.hasRemaining()) {
            if (channel.write(bytes) == 0) {
                await(SelectionKey.OP_WRITE);
            }
        }
    }

    private String answer() throws IOException {
        while (true) {
            String text = readLine();
            if (text.equals("OK")) {
                return "";
            }
            if (text.startsWith("OK ")) {
                return text.substring(3);
            }
            if (!text.startsWith("IRQ ")) {
                throw silent("answered '" + text + "' to '" + unanswered.peekFirst() + "'", null);
            }
        }
    }

    private String readLine() throws IOException {
        line.setLength(0);
        while (true) {
            while (received.hasRemaining()) {
                byte next = received.get();
                if (next == '\n') {
                    return line.toString();
                }
                line.append((char) next);
            }
            received.clear();
            int count = channel.read(received);
            received.flip();
            if (count < 0) {
                throw silent("ended", null);
            }
            if (count == 0) {
                await(SelectionKey.OP_READ);
            }
        }
    }

    private void await(int operation) throws IOException {
        channel.keyFor(selector).interestOps(operation);
        if (selector.select(timeoutMillis) == 0) {
            throw silent("did not answer within " + timeoutMillis + " ms", null);
        }
        selector.selectedKeys().clear();
    }

    private IllegalStateException silent(String what, Throwable cause) {
        StringBuilder text = new StringBuilder("QEMU ").append(what).append("; sent and not answered: ");
        text.append(unanswered.stream()
                .limit(SHOWN)
                .map(command -> command.length() > 80 ? command.substring(0, 80) + "..." : command)
                .toList());
        if (unanswered.size() > SHOWN) {
            text.append(" and ").append(unanswered.size() - SHOWN).append(" more");
        }
        return new IllegalStateException(
                text.append("; ").append(diagnosis.get()).toString(), cause);
    }

    // Accesses

    int read32(long address) {
        return (int) number(ask("readl " + hex(address)));
    }

    long read64(long address) {
        return number(ask("readq " + hex(address)));
    }

    void write32(long address, int value) {
        post("writel " + hex(address) + " " + hex(value & 0xffffffffL));
    }

    void write64(long address, long value) {
        post("writeq " + hex(address) + " " + hex(value));
    }

    int in32(int port) {
        return (int) number(ask("inl " + hex(port)));
    }

    void out32(int port, int value) {
        post("outl " + hex(port) + " " + hex(value & 0xffffffffL));
    }

    /** Reads bytes by one command. */
    byte[] readBytes(long address, int count) {
        return Base64.getDecoder().decode(ask("b64read " + hex(address) + " " + hex(count)));
    }

    /** Reads little-endian words by one command. */
    long[] readWords(long address, int count) {
        long[] words = new long[count];
        ByteBuffer.wrap(readBytes(address, count * 8))
                .order(ByteOrder.LITTLE_ENDIAN)
                .asLongBuffer()
                .get(words);
        return words;
    }

    /** Writes bytes by one command. */
    void writeBytes(long address, byte[] bytes) {
        post("b64write " + hex(address) + " " + hex(bytes.length) + " "
                + Base64.getEncoder().encodeToString(bytes));
    }

    private static String hex(long value) {
        return "0x" + Long.toHexString(value);
    }

    private static long number(String answer) {
        return Long.parseUnsignedLong(answer.substring(2), 16);
    }

    @Override
    public void close() {
        try (Selector closed = selector;
                SocketChannel open = channel) {
            closed.wakeup();
            open.configureBlocking(false);
        } catch (IOException e) {
            throw new IllegalStateException("can't close the connection to QEMU", e);
        }
    }
}
