// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The kernel's log buffer, as {@code /dev/kmsg} shows it: {@code 6,339,5140900,-;message}, and indented lines about the
 * device of the message.
 *
 * <p>A reader waits at the end for the next message. Java opens no file without waiting, so that the end is where
 * nothing comes for a while. Source: {@code Documentation/ABI/testing/dev-kmsg}, {@code kernel/printk/printk.c}.
 */
final class KernelRing {
    private static final int MAX_BYTES = HostFiles.MAX_FILE_BYTES;

    /** More than the longest message with its device's lines, which is read at once or not at all. */
    private static final int RECORD_BYTES = 64 << 10;

    /** Messages that the kernel overwrote before they were read. */
    private static final int MAX_LOST = 1_000;

    private static final long QUIET_MILLIS = 200;
    private static final long ALL_MILLIS = 10_000;

    /** Priority and facility, number, microseconds, flags, and what later kernels add. */
    private static final Pattern RECORD =
            Pattern.compile("(\\d{1,10}),\\d{1,20},(\\d{1,18}),[^;]{0,200};(.*)", Pattern.DOTALL);

    private static final int FACILITY_SHIFT = 3;
    private static final int MICROS = 1_000_000;

    private final FileChannel device;
    private final ByteArrayOutputStream read = new ByteArrayOutputStream();

    private KernelRing(FileChannel device) {
        this.device = device;
    }

    /**
     * Reads the messages that the kernel keeps, as {@code dmesg} prints them. Of programs' messages, only that the
     * first program runs.
     *
     * @param device {@code /dev/kmsg}
     * @return empty when it is absent, not for this user, or holds none
     */
    static Optional<byte[]> read(Path device) {
        try (FileChannel channel = FileChannel.open(device, StandardOpenOption.READ)) {
            KernelRing ring = new KernelRing(channel);
            ring.readAll();
            String text = ring.text();
            return text.isEmpty() ? Optional.empty() : Optional.of(text.getBytes(StandardCharsets.UTF_8));
        } catch (IOException e) {
            return Optional.empty(); // absent, or not for this user: unknown either way
        }
    }

    /** The channel is closed where its reader waits, which ends the wait. */
    private void readAll() throws IOException {
        Thread reader = new Thread(this::readRecords, "kernel log");
        reader.setDaemon(true);
        reader.start();
        long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(ALL_MILLIS);
        int seen = -1;
        try {
            while (reader.isAlive() && seen < size() && System.nanoTime() < end) {
                seen = size();
                reader.join(QUIET_MILLIS);
            }
            device.close();
            reader.join();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private int size() {
        synchronized (read) {
            return read.size();
        }
    }

    private void readRecords() {
        ByteBuffer record = ByteBuffer.allocateDirect(RECORD_BYTES);
        byte[] bytes = new byte[RECORD_BYTES];
        int lost = 0;
        while (size() < MAX_BYTES && lost < MAX_LOST) {
            try {
                record.clear();
                int length = device.read(record);
                if (length < 0) {
                    return;
                }
                record.flip().get(bytes, 0, length);
                synchronized (read) {
                    read.write(bytes, 0, length);
                }
            } catch (ClosedChannelException e) {
                return;
            } catch (IOException e) {
                lost++; // EPIPE: the kernel overwrote the message, and the next read returns the oldest that is left
            }
        }
    }

    private String text() {
        String all;
        synchronized (read) {
            all = read.toString(StandardCharsets.UTF_8);
        }
        StringBuilder lines = new StringBuilder();
        for (String line : all.lines().toList()) {
            Matcher record = RECORD.matcher(line);
            if (record.matches()) {
                boolean ofKernel = Long.parseLong(record.group(1)) >> FACILITY_SHIFT == 0;
                if (ofKernel || record.group(3).startsWith(KernelLogReader.FIRST_PROGRAM)) {
                    long micros = Long.parseLong(record.group(2));
                    lines.append(String.format(
                            Locale.ROOT, "[%5d.%06d] %s\n", micros / MICROS, micros % MICROS, record.group(3)));
                }
            }
        }
        return lines.toString();
    }
}
