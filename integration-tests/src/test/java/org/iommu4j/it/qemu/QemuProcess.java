// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.qemu;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/**
 * A running QEMU without a guest, and the qtest connection to it.
 *
 * <p>Its CPU halts at the first instruction.
 */
final class QemuProcess implements AutoCloseable {
    /** How the names of temporary directories begin. */
    static final String DIRECTORY_PREFIX =
            "iommu4j-qemu-" + ProcessHandle.current().pid() + "-";

    private static final long TIMEOUT_MILLIS = 60_000;

    private static final int BIOS_BYTES = 1 << 16;
    private static final int RESET_VECTOR = 0xfff0;
    private static final byte HLT = (byte) 0xf4;
    /** CLI, HLT, and a jump back to the HLT. */
    private static final byte[] HALT_FOR_GOOD = {(byte) 0xfa, HLT, (byte) 0xeb, (byte) 0xfd};

    private final Path directory;
    private final Path output;
    private final Process shell;
    private final QtestSocket qtest;

    /**
     * Starts a q35 machine.
     *
     * @param memoryBytes RAM from address 0 on
     * @param arguments what to add to the command line
     */
    QemuProcess(Qemu qemu, long memoryBytes, List<String> arguments) {
        Process started = null;
        directory = newDirectory();
        output = directory.resolve("output");
        try {
            Path bios = directory.resolve("bios");
            Files.write(bios, bios());
            Path path = directory.resolve("qtest");
            try (ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
                server.bind(UnixDomainSocketAddress.of(path));
                List<String> command = new ArrayList<>();
                // Instructions are counted and time does not pass by itself: EDU's timer of 100 ms fires at once.
                // Without
                // the interval timer, which would fire all the time, QEMU sleeps between commands.
                command.addAll(List.of("-machine", "q35,pit=off", "-accel", "tcg"));
                command.addAll(List.of("-icount", "shift=0,sleep=off"));
                command.addAll(List.of("-m", memoryBytes / (1 << 20) + "M", "-bios", bios.toString()));
                command.addAll(List.of("-nodefaults", "-display", "none", "-no-shutdown"));
                command.addAll(List.of("-qtest", "unix:" + path, "-qtest-log", "/dev/null"));
                command.addAll(arguments);
                started = qemu.command(command).redirectOutput(output.toFile()).start();
                shell = started;
                qtest = new QtestSocket(accept(server, started), TIMEOUT_MILLIS, this::saidSoFar);
            }
        } catch (IOException e) {
            stop(started);
            remove(directory);
            throw new IllegalStateException("can't start " + qemu + " at '" + qemu.binary() + "'", e);
        } catch (RuntimeException e) {
            stop(started);
            remove(directory);
            throw e;
        }
    }

    private static byte[] bios() {
        byte[] bios = new byte[BIOS_BYTES];
        Arrays.fill(bios, HLT);
        System.arraycopy(HALT_FOR_GOOD, 0, bios, RESET_VECTOR, HALT_FOR_GOOD.length);
        return bios;
    }

    /** QEMU is the client: it connects, or has something to say and ends. */
    private SocketChannel accept(ServerSocketChannel server, Process process) throws IOException {
        server.configureBlocking(false);
        try (Selector selector = Selector.open()) {
            server.register(selector, SelectionKey.OP_ACCEPT);
            for (long waited = 0; waited < TIMEOUT_MILLIS; waited += 100) {
                // One that has ended is a child still, without a program, until the shell asks after it.
                boolean running = process.children()
                        .anyMatch(child -> child.info().command().isPresent());
                if (selector.select(100) > 0) {
                    return server.accept();
                }
                if (!running && waited >= 1000) {
                    throw new IllegalStateException("QEMU ended before it connected; " + saidSoFar());
                }
            }
        }
        throw new IllegalStateException("QEMU did not connect within " + TIMEOUT_MILLIS + " ms; " + saidSoFar());
    }

    private String saidSoFar() {
        try {
            return "its own output: '"
                    + Files.readString(output, StandardCharsets.UTF_8).strip() + "'";
        } catch (IOException e) {
            return "its output is unreadable: " + e.getMessage();
        }
    }

    /** Returns the connection. */
    QtestSocket qtest() {
        return qtest;
    }

    private static void stop(Process shell) {
        if (shell == null) {
            return;
        }
        try {
            shell.getOutputStream().close();
            if (!shell.waitFor(10, TimeUnit.SECONDS)) {
                shell.descendants().forEach(ProcessHandle::destroyForcibly);
                shell.destroyForcibly();
            }
        } catch (IOException e) {
            shell.descendants().forEach(ProcessHandle::destroyForcibly);
            shell.destroyForcibly();
        } catch (InterruptedException e) {
            shell.descendants().forEach(ProcessHandle::destroyForcibly);
            shell.destroyForcibly();
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public void close() {
        stop(shell);
        qtest.close();
        remove(directory);
    }

    private static Path newDirectory() {
        try {
            return Files.createTempDirectory(DIRECTORY_PREFIX);
        } catch (IOException e) {
            throw new UncheckedIOException("can't make a temporary directory", e);
        }
    }

    private static void remove(Path directory) {
        try (Stream<Path> left = Files.walk(directory)) {
            for (Path path : left.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(path);
            }
        } catch (IOException e) {
            throw new UncheckedIOException("can't remove " + directory, e);
        }
    }
}
