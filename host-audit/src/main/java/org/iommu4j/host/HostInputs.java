// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.iommu4j.spi.IommuVendors;
import org.jspecify.annotations.Nullable;

/**
 * Reads any mix of inputs about a host into one {@link HostEvidence}.
 *
 * <p>The {@link Rank} of each input decides where they differ; their order makes no difference. At most one is a
 * capture or the running host: two captures are of two hosts or of two times.
 */
public final class HostInputs {
    private static final int TAR_MAGIC_AT = 257;
    private static final String EXPECTED =
            "expected a directory or tar with a Linux sys/ tree, an ACPI table or acpidump,"
                    + " or text of lspci, dmesg or IOMMU groups";

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
     * Adds an input of any kind, recognised by what is in it.
     *
     * @throws UnknownInputException when it is none that is known
     * @throws InputException when it can't be read, or a second capture
     */
    public HostInputs path(Path path) {
        if (Files.isDirectory(path)) {
            if (isRoot(path)) {
                return live();
            }
            return capture(path);
        }
        if (isTar(path)) {
            return capture(path);
        }
        byte[] bytes = TextLines.bytes(path);
        if (AcpiReader.recognises(bytes)) {
            return acpi(path, bytes);
        }
        byte[] text = TextLines.isText(bytes) ? PastedText.mended(bytes) : new byte[0];
        List<String> lines = TextLines.of(text, path.toString());
        for (String line : lines) {
            if (AcpiReader.recognises(line)) {
                return acpi(path, bytes);
            }
            if (logs.recognises(line)) {
                return dmesg(path, text);
            }
            if (GroupListingReader.recognises(line)) {
                return groups(path, lines);
            }
            if (LspciReader.recognises(line)) {
                return lspci(path, lines);
            }
        }
        throw new UnknownInputException(path + ": is of no known kind, " + EXPECTED);
    }

    private void only(String capture) {
        if (captured != null) {
            throw new InputException(captured + " and " + capture
                    + " are two captures, expected one capture of one host; --fleet DIR audits many");
        }
        captured = capture;
    }

    /**
     * Adds a directory or tar with a {@code sys/} tree.
     *
     * @throws InputException when it can't be read, or one was added before
     */
    public HostInputs capture(Path path) {
        only(path.toString());
        CaptureFiles files = CaptureFiles.open(path);
        SysfsReader.read(files, vendors, logs, host(path));
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

    /** Adds a kernel log. */
    public HostInputs dmesg(Path file) {
        return dmesg(file, mendedText(file));
    }

    private HostInputs dmesg(Path file, byte[] text) {
        if (!logs.read(text, source(file, Rank.LOG), host(file).input(file.toString()))) {
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
            Path directory = directory(input);
            boolean together = named.stream().allMatch(each -> directory(each).equals(directory));
            known.named(
                    together && directory.getFileName() != null
                            ? nameOf(directory)
                            : nameOf(named.get(0)) + " and " + (named.size() - 1) + " more");
        }
        return known;
    }

    private static Path directory(Path input) {
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

    /** A tar has a magic behind the first name; a compressed file is taken as a tar. */
    private static boolean isTar(Path path) {
        TextLines.requireContents(path);
        if (!Files.isRegularFile(path)) {
            return false;
        }
        try (InputStream in = Files.newInputStream(path)) {
            byte[] head = in.readNBytes(TAR_MAGIC_AT + 5);
            return CaptureFiles.isGzip(head)
                    || (head.length == TAR_MAGIC_AT + 5
                            && new String(head, TAR_MAGIC_AT, 5, StandardCharsets.ISO_8859_1).equals("ustar"));
        } catch (IOException e) {
            throw new InputException(path + ": can't be read (" + InputException.reason(e) + ")", e);
        }
    }

    private static Source source(Path file, Rank rank) {
        return new Source(nameOf(file), rank);
    }

    private static String nameOf(Path path) {
        Path file = path.toAbsolutePath().normalize().getFileName();
        String name = TextLines.printable(file == null ? "host" : file.toString());
        return name.replaceFirst("\\.tar(\\.gz)?$|\\.tgz$", "");
    }
}
