// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.stream.Stream;
import org.iommu4j.platform.DeviceTree;
import org.iommu4j.spi.IommuVendors;
import org.jspecify.annotations.Nullable;

/**
 * Reads any mix of inputs about a host into one {@link HostEvidence}.
 *
 * <p>The {@link Rank} of each input decides where they differ; their order makes no difference. At most one is a
 * capture or the running host: two captures are of two hosts or of two times.
 */
public final class HostInputs {
    private static final String EXPECTED =
            "expected a directory or tar with a Linux sys/ tree, an ACPI table or acpidump,"
                    + " or text of lspci, dmesg, IOMMU groups, virsh nodedev-dumpxml, pvesh or iommu_regset";

    /** Directories in one another in which files of a host are looked for. */
    private static final int MAX_DEPTH = 6;

    /** Files of a folder. */
    private static final int MAX_FILES = 10_000;

    private final IommuVendors vendors;
    private final KernelLogReader logs;
    private final List<Path> named = new ArrayList<>();
    private @Nullable EvidenceBuilder host;
    private @Nullable String captured;

    /** Makes a reader that knows what the drivers of some vendors print and show of their units. */
    public HostInputs(IommuVendors vendors) {
        this.vendors = vendors;
        this.logs = new KernelLogReader(vendors);
    }

    /** Makes a reader that knows the vendors found on the module path and the class path. */
    public static HostInputs withInstalledVendors() {
        return new HostInputs(IommuVendors.load());
    }

    /** Adds the running host. */
    public HostInputs live() {
        return live(Path.of("/"));
    }

    /** Adds a host whose files are read, when they are needed, below a root. */
    HostInputs live(Path root) {
        only("this host");
        EvidenceBuilder known = host;
        if (known == null) {
            known = HostEvidence.builder("this host");
            host = known;
        }
        SysfsReader.read(new LiveFiles(root), vendors, logs, known);
        return this;
    }

    /**
     * Adds an input of any kind, recognised by what is in it: a directory or archive with a {@code sys/} tree, texts or
     * both; an ACPI table; a device tree; a text, in which all known kinds may stand in any order. {@code /dev/stdin}
     * is standard input.
     *
     * @throws UnknownInputException when it is none that is known
     * @throws InputException when it can't be read, or a second capture
     */
    public HostInputs path(Path path) {
        if (Files.isDirectory(path)) {
            return isRoot(path) ? live() : directory(path);
        }
        TextLines.requireContents(path);
        if (Files.isRegularFile(path) && Packing.isArchive(path)) {
            return capture(path);
        }
        byte[] bytes = TextLines.bytes(path);
        if (Packing.isArchive(bytes)) {
            // A pipe can be read only once.
            TextInputs texts = new TextInputs(logs);
            return archive(
                    path, CaptureFiles.ofArchive(new ByteArrayInputStream(bytes), path.toString(), texts), texts);
        }
        if (DeviceTree.recognises(bytes)) {
            host(path).input(path.toString()).deviceTree(bytes, source(path, Rank.TABLE));
            return this;
        }
        return AcpiReader.recognises(bytes) ? acpi(path, bytes) : text(path, bytes);
    }

    private HostInputs text(Path path, byte[] bytes) {
        byte[] text = PastedText.ofFile(bytes);
        TextSections sections = TextSections.of(text, path.toString(), logs);
        if (sections.kinds().size() == 1) {
            switch (sections.kinds().iterator().next()) {
                case ACPI -> acpi(path, bytes);
                case LOG -> dmesg(path, text);
                case GROUPS -> groups(path, TextLines.of(text, path.toString()));
                case LSPCI -> lspci(path, TextLines.of(text, path.toString()));
                case NODE_DEVICES -> nodeDevices(path, TextLines.of(text, path.toString()));
                case KERNEL, REGISTERS, PVESH ->
                    sections.read(nameOf(path), host(path).input(path.toString()));
            }
        } else if (sections.read(nameOf(path), HostEvidence.builder("trial")).isEmpty()) {
            TextLines.of(text, path.toString()).forEach(line -> refuse(path, line));
            throw new UnknownInputException(path + ": is of no known kind, " + EXPECTED);
        } else {
            sections.read(nameOf(path), host(path).input(path.toString()));
        }
        return this;
    }

    /** Adds a directory: a capture, or else the files of one host, which may lie in directories of their own. */
    private HostInputs directory(Path directory) {
        if (hasSysTree(directory)) {
            return capture(directory);
        }
        List<Path> inside = list(directory);
        List<Path> captures = inside.stream().filter(HostInputs::hasSysTree).toList();
        if (captures.size() > 1) {
            throw new InputException(directory + ": holds sys/ twice, in " + captures.get(0) + " and in "
                    + captures.get(1) + ", expected the files of one host; --fleet DIR audits many");
        }
        TextInputs texts = new TextInputs(logs);
        captures.forEach(capture -> archive(directory, capture));
        boolean any = !captures.isEmpty();
        Deque<Path> left = new ArrayDeque<>(inside);
        int files = 0;
        while (!left.isEmpty()) {
            Path path = left.pop();
            if (Files.isRegularFile(path)) {
                if (++files > MAX_FILES) {
                    throw new InputException(directory + ": holds more than " + MAX_FILES + " files");
                }
                any |= offer(directory, path, texts);
            } else if (Files.isDirectory(path, LinkOption.NOFOLLOW_LINKS)
                    && !captures.contains(path)
                    && path.getNameCount() - directory.getNameCount() < MAX_DEPTH) {
                list(path).forEach(left::push);
            }
        }
        if (!any && texts.isEmpty()) {
            throw new InputException(directory + ": is not a capture, " + EXPECTED + "; " + texts.unread());
        }
        texts.requireOneHost(directory.toString());
        texts.read(directory.toString(), true, host(directory));
        return this;
    }

    /** Reads a capture among the files of a host at once; returns whether it is one. */
    private boolean offer(Path directory, Path file, TextInputs texts) {
        try {
            TextLines.requireContents(file);
            if (Packing.isArchive(file)) {
                archive(directory, file);
                return true;
            }
            texts.offer(TextLines.printable(directory.relativize(file).toString()), TextLines.bytes(file));
        } catch (UnknownInputException e) {
            texts.leaveOut(String.valueOf(e.getMessage()));
        }
        return false;
    }

    private static boolean hasSysTree(Path directory) {
        return Files.isDirectory(directory.resolve("sys"));
    }

    /** Returns what a directory holds, in order, but what is hidden. */
    private static List<Path> list(Path directory) {
        try (Stream<Path> entries = Files.list(directory)) {
            return entries.filter(entry -> !entry.getFileName().toString().startsWith("."))
                    .limit(MAX_FILES)
                    .sorted()
                    .toList();
        } catch (IOException e) {
            throw InputException.of(directory.toString(), "can't be read", e);
        }
    }

    private void only(String capture) {
        if (captured != null) {
            throw new InputException(captured + " and " + capture
                    + " are two captures, expected one capture of one host; --fleet DIR audits many");
        }
        captured = capture;
    }

    /**
     * Adds a directory, tar or zip with a {@code sys/} tree, or with texts.
     *
     * @throws InputException when it can't be read, has neither, or one with {@code sys/} was added before
     */
    public HostInputs capture(Path path) {
        return archive(path, path);
    }

    private HostInputs archive(Path named, Path path) {
        TextInputs texts = new TextInputs(logs);
        return archive(named, CaptureFiles.read(path, texts), texts);
    }

    /**
     * Adds a capture.
     *
     * @param named gives the host its name
     * @param texts that lie beside the {@code sys/} tree, if there is one
     */
    private HostInputs archive(Path named, CaptureFiles files, TextInputs texts) {
        if (files.hasSysTree()) {
            only(files.source());
            SysfsReader.read(files, vendors, logs, host(named));
            texts.without(SysfsReader.LOGS);
            if (SysfsReader.LOGS.stream().anyMatch(log -> files.bytes(log).isPresent())) {
                texts.withoutLogs();
            }
        } else if (texts.isEmpty()) {
            throw new InputException(files.source() + ": is not a capture, expected a directory or tar with a Linux"
                    + " sys/ tree, or with known texts; " + texts.unread());
        } else {
            texts.requireOneHost(files.source());
        }
        texts.read(files.source(), !files.hasSysTree(), host(named));
        return this;
    }

    /** Adds an ACPI table, or the text of acpidump. */
    public HostInputs acpi(Path file) {
        return acpi(file, TextLines.bytes(file));
    }

    private HostInputs acpi(Path file, byte[] bytes) {
        EvidenceBuilder into = host(file).input(file.toString());
        if (TextLines.isText(bytes) && !AcpiReader.recognises(bytes)) {
            List<String> lines = TextLines.of(PastedText.mended(bytes), file.toString());
            if (AcpiReader.read(lines, source(file, Rank.TABLE), into) == 0) {
                throw new InputException(
                        file + ": holds no complete ACPI table, expected its bytes or the text of acpidump");
            }
        } else {
            AcpiReader.read(bytes, source(file, Rank.TABLE), into);
        }
        return this;
    }

    /** Adds what lspci printed. */
    public HostInputs lspci(Path file) {
        return lspci(file, text(file));
    }

    private HostInputs lspci(Path file, List<String> lines) {
        if (LspciReader.read(lines, source(file, Rank.LSPCI), host(file).input(file.toString())) == 0) {
            throw new InputException(file + ": is not a listing of lspci, expected lines like"
                    + " '00:02.0 VGA compatible controller: Intel Corporation HD Graphics'");
        }
        return this;
    }

    /** Refuses by name what is known and not read. */
    private static void refuse(Path path, String line) {
        OtherSystem.refuse(path.toString(), line);
        if (PveshReader.isJson(line)) {
            throw new InputException(path + ": is JSON of pvesh, which is not read, expected its table:"
                    + " 'pvesh get /nodes/localhost/hardware/pci' without --output-format");
        }
    }

    private HostInputs nodeDevices(Path file, List<String> lines) {
        if (NodeDeviceReader.read(lines, source(file, Rank.LSPCI), host(file).input(file.toString())) == 0) {
            throw new InputException(
                    file + ": holds no whole device, expected what 'virsh nodedev-dumpxml pci_0000_00_02_0' prints");
        }
        return this;
    }

    /** Adds a kernel log. */
    public HostInputs dmesg(Path file) {
        return dmesg(file, mendedText(file));
    }

    private HostInputs dmesg(Path file, byte[] text) {
        if (!logs.read(text, source(file, Rank.LOG), host(file).input(file.toString()))) {
            TextLines.of(text, file.toString()).forEach(line -> OtherSystem.refuse(file.toString(), line));
            throw new InputException(file
                    + ": is not a kernel log with known lines, expected 'Linux version ...' or lines of "
                    + "DMAR or AMD-Vi");
        }
        return this;
    }

    /** Adds a listing of IOMMU groups. */
    public HostInputs groups(Path file) {
        return groups(file, text(file));
    }

    private HostInputs groups(Path file, List<String> lines) {
        if (GroupListingReader.read(lines, source(file, Rank.LSPCI), host(file).input(file.toString())) == 0) {
            throw new InputException(file + ": is not a listing of IOMMU groups, expected lines like"
                    + " 'IOMMU Group 1 00:01.0 PCI bridge [0604]: ...'");
        }
        return this;
    }

    /**
     * Returns the facts of all inputs.
     *
     * @throws IllegalStateException when none was added
     */
    public HostEvidence read() {
        EvidenceBuilder read = host;
        if (read == null) {
            throw new IllegalStateException("no input was added");
        }
        return read.build();
    }

    /** The host is called by its only input, or by the directory that all of them are in. */
    private EvidenceBuilder host(Path input) {
        EvidenceBuilder known = host;
        if (known == null) {
            known = HostEvidence.builder(nameOf(input));
            host = known;
            named.add(input);
        } else if (!named.isEmpty() && !named.contains(input)) {
            named.add(input);
            Path directory = directoryOf(input);
            boolean together = named.stream()
                    .allMatch(each -> directoryOf(each).equals(directory) && !TextLines.isDescriptor(each));
            known.named(
                    together && directory.getFileName() != null
                            ? nameOf(directory)
                            : nameOf(named.get(0)) + " and " + (named.size() - 1) + " more");
        }
        return known;
    }

    private static Path directoryOf(Path input) {
        Path absolute = input.toAbsolutePath().normalize();
        Path parent = absolute.getParent();
        return parent == null ? absolute : parent;
    }

    private static List<String> text(Path file) {
        return TextLines.of(mendedText(file), file.toString());
    }

    private static byte[] mendedText(Path file) {
        byte[] bytes = TextLines.bytes(file);
        if (!TextLines.isText(bytes)) {
            throw new InputException(file + ": is not text");
        }
        return PastedText.mended(bytes);
    }

    private static boolean isRoot(Path path) {
        try {
            return path.toRealPath().getParent() == null;
        } catch (IOException e) {
            return false;
        }
    }

    private static Source source(Path file, Rank rank) {
        return new Source(nameOf(file), rank);
    }

    private static String nameOf(Path path) {
        if (TextLines.isDescriptor(path)) {
            return path.equals(TextLines.STANDARD_INPUT) ? "standard input" : "pipe";
        }
        Path file = path.toAbsolutePath().normalize().getFileName();
        String name = TextLines.printable(file == null ? "host" : file.toString());
        return name.replaceFirst("\\.(?:tar|tgz|zip|tar\\.gz|gz)$", "");
    }
}
