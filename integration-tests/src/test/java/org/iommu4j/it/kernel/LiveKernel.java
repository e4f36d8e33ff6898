// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.iommu4j.LinuxRelease;
import org.iommu4j.it.qemu.Qemu;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.witness.Witnesses;
import org.iommu4j.workbench.Workbench;
import org.jspecify.annotations.Nullable;

/**
 * A real kernel, booted in QEMU, whose first process is the agent: it performs sequences of calls.
 *
 * <p>Sequences and the capture of the guest travel on a disk, commands and answers over the second serial port, the
 * kernel's messages over the first. With one CPU, time stands still while the guest works and jumps while it waits, so
 * that its devices take none.
 */
final class LiveKernel implements AutoCloseable {
    /** The functions that are bound to vfio-pci, all of them EDU devices, by their number. */
    static final List<PciAddress> FUNCTIONS = Stream.of(
                    "0000:00:05.0", // alone in its group
                    "0000:00:0b.0", // alone too
                    "0000:00:0a.0", // two of one device, in one group
                    "0000:00:0a.1",
                    "0000:00:0c.0", // the other function of its device has a kernel's driver
                    "0000:02:01.0", // two behind a bridge, in one group
                    "0000:02:02.0")
            .map(PciAddress::parse)
            .toList();

    /** The functions that a kernel's driver is bound to. */
    static final List<PciAddress> KERNELS =
            Stream.of("0000:00:09.0", "0000:00:0c.1").map(PciAddress::parse).toList();

    /** The first function behind a bridge. */
    static final int BEHIND_BRIDGE = 5;

    private static final String KERNEL = "iommu4j.kernel";
    private static final String REQUIRED = "iommu4j.kernel.required";
    private static final int SEQUENCES_BYTES = 16 << 20;
    private static final int DISK_BYTES = 2 * SEQUENCES_BYTES;
    private static final String RAM = "ram";
    private static final int TRIES = 3;
    private static final long BOOT_SECONDS = 120;
    private static final long ANSWER_SECONDS = 60;
    private static final Pattern COMPLAINT = Pattern.compile(
            "WARNING:|BUG:|Oops|general protection|soft lockup|hung_task|UBSAN|refcount_t|list_add corruption");

    /**
     * What kernels to 7.3 are known to complain of: VFIO_IOMMU_DIRTY_PAGES shifts by the bits of a bitmap's page size
     * before it looks whether that is 0. The answer is EINVAL all the same.
     */
    private static final Pattern KNOWN = Pattern.compile("UBSAN: shift-out-of-bounds in .*/vfio_iommu_type1\\.c:");

    private final Qemu qemu;
    private final LiveMachine machine;
    private final Path directory;
    private final Process shell;
    private final SocketChannel port;
    private final BlockingQueue<String> lines = new LinkedBlockingQueue<>();
    private final LinuxRelease release;
    private final boolean iommufd;
    private final MachineDescription description;

    private LiveKernel(Qemu qemu, LiveMachine machine, Path directory, Process shell, SocketChannel port)
            throws IOException {
        this.qemu = qemu;
        this.machine = machine;
        this.directory = directory;
        this.shell = shell;
        this.port = port;
        Thread reader = new Thread(this::readLines, "kernel's answers");
        reader.setDaemon(true);
        reader.start();
        String[] ready = await("READY ", BOOT_SECONDS).split(" ", 5);
        iommufd = ready[2].equals("1");
        release = Transcript.release(ready[4], ready[3]);
        Path capture = directory.resolve("capture.tar");
        try (RandomAccessFile disk = disk("r")) {
            byte[] archive = new byte[Integer.parseInt(ready[1])];
            disk.seek(SEQUENCES_BYTES);
            disk.readFully(archive);
            Files.write(capture, archive);
        }
        Workbench workbench = Workbench.create();
        MachineDescription captured = workbench.describe(workbench.read(capture));
        description = machine.believed() == 0 ? captured : believing(captured);
    }

    /** Has the kernel believe that its unit can do more, and returns a machine whose unit can. */
    private MachineDescription believing(MachineDescription captured) {
        TranslationUnitSpec unit = captured.units().get(0);
        GuestRam.addToEcap(directory.resolve(RAM), unit, machine.believed());
        return captured.withUnits(List.of(KernelHost.with(
                unit, unit.name(), unit.registerBase(), Map.of("ECAP", unit.register("ECAP") | machine.believed()))));
    }

    /** Returns the folders of kernels that this build names, or one name of nothing. */
    static Stream<Path> folders() {
        return Pattern.compile(Pattern.quote(File.pathSeparator))
                .splitAsStream(System.getProperty(KERNEL, ""))
                .map(Path::of);
    }

    /**
     * Boots a kernel in the first QEMU, again where that fails: under emulation kernels stumble over their timers.
     * Where there is no kernel or no QEMU the test is skipped, or fails where they are required.
     *
     * @param folder what {@code src/test/agent/prepare} made
     * @param cpus how many the machine has
     */
    static LiveKernel boot(Path folder, LiveMachine machine, int cpus) {
        if (!Files.exists(folder.resolve("initramfs"))) {
            throw Witnesses.missing(
                    "live kernel",
                    (folder.toString().isEmpty() ? "no folder is named" : "no kernel in the folder '" + folder + "'")
                            + "; -D" + KERNEL
                            + "=FOLDER names one that integration-tests/src/test/agent/prepare made",
                    REQUIRED);
        }
        Qemu qemu = firstQemu();
        for (int tried = 1; ; tried++) {
            try {
                LiveKernel kernel = start(qemu, folder, machine, cpus);
                Witnesses.used("live kernel " + kernel.release());
                return kernel;
            } catch (AssertionError failed) {
                if (tried == TRIES) {
                    throw failed;
                }
            }
        }
    }

    /** Returns whether a kernel's configuration lies in its folder, and an option is not set in it. */
    static boolean isKnownToLack(Path folder, String option) {
        try {
            Path configuration = folder.resolve("config");
            return Files.exists(configuration)
                    && Files.readAllLines(configuration).stream().noneMatch(line -> line.startsWith(option + "="));
        } catch (IOException e) {
            throw new UncheckedIOException("can't read the configuration in " + folder, e);
        }
    }

    private static Qemu firstQemu() {
        String reason = "-D" + Qemu.BINARIES + "=" + Qemu.ABSENT;
        for (String name : Qemu.named()) {
            try {
                return Qemu.at(name);
            } catch (IOException e) {
                reason = e.getMessage();
            }
        }
        throw Witnesses.missing("QEMU", reason, "iommu4j.qemu.required");
    }

    private static LiveKernel start(Qemu qemu, Path folder, LiveMachine machine, int cpus) {
        Process shell = null;
        Path directory = null;
        try {
            directory = Files.createTempDirectory(
                    "iommu4j-kernel-" + ProcessHandle.current().pid() + "-");
            try (RandomAccessFile disk =
                    new RandomAccessFile(directory.resolve("disk").toFile(), "rw")) {
                disk.setLength(DISK_BYTES);
            }
            try (ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
                server.bind(UnixDomainSocketAddress.of(directory.resolve("answers")));
                shell = qemu.command(arguments(qemu, folder, directory, machine, cpus))
                        .redirectOutput(directory.resolve("output").toFile())
                        .start();
                return new LiveKernel(qemu, machine, directory, shell, accept(server, shell, directory));
            }
        } catch (IOException e) {
            stop(shell, directory);
            throw new UncheckedIOException("can't boot " + folder + " in " + qemu, e);
        } catch (AssertionError | RuntimeException e) {
            stop(shell, directory);
            throw e;
        }
    }

    private static List<String> arguments(Qemu qemu, Path folder, Path directory, LiveMachine machine, int cpus) {
        List<String> arguments = new ArrayList<>(List.of("-accel", "tcg", "-cpu", "max"));
        if (machine.believed() == 0) {
            arguments.addAll(List.of("-machine", "q35"));
        } else {
            arguments.addAll(List.of("-machine", "q35,memory-backend=ram"));
            String ram = "memory-backend-file,id=ram,size=512M,share=on,mem-path=" + directory.resolve(RAM);
            arguments.addAll(List.of("-object", ram));
        }
        arguments.addAll(List.of("-smp", Integer.toString(cpus), "-m", "512M"));
        if (cpus == 1) {
            arguments.addAll(List.of("-icount", "shift=0,sleep=off"));
        }
        arguments.addAll(List.of("-nodefaults", "-display", "none", "-no-reboot"));
        List<String> devices = new ArrayList<>(List.of(machine.unit(qemu)));
        devices.add("virtio-blk-pci,drive=disk,addr=09.0," + machine.virtio());
        for (String address : List.of("05.0", "0b.0", "0a.0,multifunction=on", "0a.1", "0c.0,multifunction=on")) {
            devices.add("edu,dma_mask=0xffffffffffffffff,addr=" + address);
        }
        devices.add("virtio-rng-pci,addr=0c.1," + machine.virtio());
        devices.add("pcie-root-port,id=root_port,chassis=3,addr=08.0");
        devices.add("pcie-pci-bridge,id=bridge,bus=root_port");
        devices.add("edu,bus=bridge,addr=01.0,dma_mask=0xffffffffffffffff");
        devices.add("edu,bus=bridge,addr=02.0,dma_mask=0xffffffffffffffff");
        arguments.addAll(List.of("-drive", "file=" + directory.resolve("disk") + ",if=none,id=disk,format=raw"));
        devices.forEach(device -> arguments.addAll(List.of("-device", device)));
        arguments.addAll(List.of("-serial", "file:" + directory.resolve("messages")));
        arguments.addAll(List.of("-chardev", "socket,id=answers,path=" + directory.resolve("answers")));
        arguments.addAll(machine.port());
        arguments.addAll(List.of("-kernel", folder.resolve("vmlinuz").toString()));
        arguments.addAll(List.of("-initrd", folder.resolve("initramfs").toString()));
        String functions =
                String.join(",", FUNCTIONS.stream().map(PciAddress::toString).toList());
        arguments.addAll(List.of(
                "-append",
                "console=ttyS0,115200 loglevel=5 mitigations=off tsc=reliable no_timer_check panic=-1" + " "
                        + machine.options() + " iommu.passthrough=0 functions=" + functions));
        return arguments;
    }

    private static SocketChannel accept(ServerSocketChannel server, Process shell, Path directory) throws IOException {
        server.configureBlocking(false);
        for (int waited = 0; waited < 200; waited++) {
            SocketChannel accepted = server.accept();
            if (accepted != null) {
                return accepted;
            }
            try {
                if (shell.waitFor(100, TimeUnit.MILLISECONDS)) {
                    break;
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                break;
            }
        }
        throw new AssertionError("QEMU does not connect: " + Files.readString(directory.resolve("output")));
    }

    private void readLines() {
        try (BufferedReader reader =
                new BufferedReader(new InputStreamReader(Channels.newInputStream(port), StandardCharsets.US_ASCII))) {
            for (String line = reader.readLine(); line != null; line = reader.readLine()) {
                lines.add(line.strip());
            }
        } catch (IOException closed) {
            lines.add("FAILED: " + closed);
        }
        lines.add("FAILED: the guest ended");
    }

    /** Returns the next line that begins so; no other may come before it. */
    private String await(String beginning, long seconds) {
        String line = next(seconds);
        if (!line.startsWith(beginning)) {
            throw new AssertionError("the agent said '" + line + "', expected '" + beginning + "'; " + said());
        }
        return line;
    }

    private String next(long seconds) {
        try {
            String line = lines.poll(seconds, TimeUnit.SECONDS);
            if (line == null || line.startsWith("FAILED")) {
                throw new AssertionError(
                        (line == null ? "no word from the agent for " + seconds + " s" : line) + "; " + said());
            }
            return line;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new AssertionError("interrupted", e);
        }
    }

    /** Returns the QEMU that it runs in. */
    Qemu qemu() {
        return qemu;
    }

    /** Returns the machine that it runs on. */
    LiveMachine machine() {
        return machine;
    }

    /** Returns the kernel's release. */
    LinuxRelease release() {
        return release;
    }

    /** Returns whether the kernel has iommufd. */
    boolean hasIommufd() {
        return iommufd;
    }

    /** Returns its machine, as the capture has it that the guest made of itself. */
    MachineDescription description() {
        return description;
    }

    /** Has the agent perform sequences, and returns the answers of each: result, errno and outputs. */
    List<List<String>> perform(List<VfioSequence> sequences) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < sequences.size(); i++) {
            text.append(sequences.get(i).text(i));
        }
        byte[] bytes = text.append('\0').toString().getBytes(StandardCharsets.US_ASCII);
        if (bytes.length > SEQUENCES_BYTES) {
            throw new IllegalArgumentException(bytes.length + " bytes of sequences do not fit on the disk");
        }
        try (RandomAccessFile disk = disk("rw")) {
            disk.write(bytes);
            send("run\n");
        } catch (IOException e) {
            throw new UncheckedIOException("can't hand sequences to the agent", e);
        }
        List<List<String>> answers = new ArrayList<>();
        for (int i = 0; i < sequences.size(); i++) {
            answers.add(answers(i, sequences.get(i)));
        }
        await("DONE", ANSWER_SECONDS);
        return answers;
    }

    private List<String> answers(int number, VfioSequence sequence) {
        List<String> answers = new ArrayList<>();
        for (int step = 0; step < sequence.calls().size(); step++) {
            String beginning = "ANSWER " + number + " " + step + " ";
            answers.add(await(beginning, ANSWER_SECONDS).substring(beginning.length()));
        }
        await("END " + number + " 0", ANSWER_SECONDS);
        return answers;
    }

    /**
     * Has a guest execute WBINVD while its thread is moved, and returns what the agent printed: test by test a title,
     * and the lines of the kernel's trace. Needs three CPUs.
     */
    List<String> wbinvd() {
        try {
            send("wbinvd\n");
        } catch (IOException e) {
            throw new UncheckedIOException("can't command the agent", e);
        }
        List<String> printed = new ArrayList<>();
        for (String line = next(ANSWER_SECONDS); !line.equals("DONE 0"); line = next(ANSWER_SECONDS)) {
            printed.add(line);
        }
        return printed;
    }

    private void send(String command) throws IOException {
        port.write(ByteBuffer.wrap(command.getBytes(StandardCharsets.US_ASCII)));
    }

    private RandomAccessFile disk(String mode) throws IOException {
        return new RandomAccessFile(directory.resolve("disk").toFile(), mode);
    }

    /** Returns the kernel's messages that no correct kernel prints, but for the known ones. */
    List<String> complaints() {
        return read("messages")
                .lines()
                .filter(line ->
                        COMPLAINT.matcher(line).find() && !KNOWN.matcher(line).find())
                .toList();
    }

    private String read(String name) {
        try {
            return Files.readString(directory.resolve(name), StandardCharsets.ISO_8859_1);
        } catch (IOException e) {
            throw new UncheckedIOException("can't read " + name, e);
        }
    }

    private String said() {
        String messages = read("messages");
        return "QEMU said '" + read("output").strip() + "', and the kernel at last:\n"
                + messages.substring(Math.max(0, messages.length() - 4000));
    }

    @Override
    public void close() {
        try {
            port.close();
        } catch (IOException e) {
            throw new UncheckedIOException("can't close the agent's port", e);
        } finally {
            stop(shell, directory);
        }
    }

    private static void stop(@Nullable Process shell, @Nullable Path directory) {
        try {
            if (shell != null) {
                shell.getOutputStream().close();
                if (!shell.waitFor(10, TimeUnit.SECONDS)) {
                    shell.descendants().forEach(ProcessHandle::destroyForcibly);
                    shell.destroyForcibly();
                }
            }
            if (directory != null) {
                try (Stream<Path> left = Files.walk(directory)) {
                    for (Path path : left.sorted(Comparator.reverseOrder()).toList()) {
                        Files.delete(path);
                    }
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException("can't remove " + directory, e);
        } catch (InterruptedException e) {
            shell.descendants().forEach(ProcessHandle::destroyForcibly);
            shell.destroyForcibly();
            Thread.currentThread().interrupt();
        }
    }
}
