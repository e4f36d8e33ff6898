// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.zip.GZIPOutputStream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.apache.commons.compress.archivers.tar.TarConstants;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.spi.IommuVendors;

/**
 * Makes a capture of a host: a tar, compressed by gzip or not, of the files that decide about its IOMMUs, under the
 * paths that they have there.
 *
 * <p>Root is not required. Files that can't be read are reported, and listed in {@value #MISSING} inside the tar.
 * Serial numbers, vital product data, network addresses, UUIDs and host names are left out. From files that may hold
 * such, only known parts are taken: the ACPI tables of IOMMUs and configuration space; the parameters of the kernel's
 * command line that decide; the parts of log lines that are read here, and the messages of IOMMU drivers.
 */
public final class HostCapture {
    /** What could not be read. */
    public static final String MISSING = "MISSING.txt";

    private static final Pattern COMPRESSED = Pattern.compile("(?is).*\\.(?:tar\\.gz|tgz)");

    /** What of a function's directory is captured, in order; links are captured as such. */
    static final List<String> OF_FUNCTION = List.of(
            "class",
            Redaction.CONFIG,
            "device",
            "driver",
            "iommu",
            "iommu_group",
            "numa_node",
            "physfn",
            SysfsReader.RESET_METHOD,
            "revision",
            "subsystem_device",
            "subsystem_vendor",
            "vendor");

    static final List<String> LINKS = List.of("driver", "iommu", "iommu_group", "physfn");

    /** Below a group. */
    static final List<String> OF_GROUP = List.of(SysfsReader.GROUP_NAME, "/type", "/reserved_regions");

    /** ACPI tables that describe IOMMUs, and where configuration space is. Others may hold licence keys. */
    static final List<String> TABLES = List.of("DMAR", "IVRS", "IORT", "RIMT", "VIOT", "MCFG");

    static final List<String> FILES =
            List.of(SysfsReader.UNSAFE_INTERRUPTS, SysfsReader.HYPERVISOR, SysfsReader.RELEASE_FILE);

    static final String COMMAND_LINE = "proc/cmdline";
    static final String NO_COMMAND_LINE = COMMAND_LINE + ": the kernel's parameters are unknown";
    static final String NO_LOG =
            "kernel log: var/log/dmesg can't be read; run 'dmesg > dmesg.txt' as root and pass it with --dmesg";
    static final String ROOT_ONLY = "functions after the header: only root may read it; without it neither Enable No"
            + " Snoop nor ACS is known";

    /** Names and paths of other characters, which sysfs does not have, are left out. */
    private static final Pattern PLAIN = Pattern.compile("[ -~]+");

    static final String DRIVERS = "sys/bus/pci/drivers";

    private final LiveFiles files;
    private final BootParameters parameters;
    private final LogEssence logs;
    private final Set<String> directories = new TreeSet<>();
    private final Set<String> names = new TreeSet<>();
    private final List<String> missing = new ArrayList<>();
    private int functions;
    private int headersOnly;

    private HostCapture(LiveFiles files) {
        IommuVendors vendors = IommuVendors.load();
        this.files = files;
        this.parameters = new BootParameters(vendors);
        this.logs = new LogEssence(vendors);
    }

    /**
     * What a capture has.
     *
     * @param functions PCI functions
     * @param units translation units in use
     * @param groups IOMMU groups
     * @param missing what could not be read, one line each
     */
    public record Summary(int functions, int units, int groups, List<String> missing) {
        /** Copies the list. */
        public Summary {
            missing = List.copyOf(missing);
        }
    }

    /**
     * Captures a host.
     *
     * @param root where its files are: {@code /} for the running host
     * @param tar the file to make, for its owner only, compressed where its name ends as of such; a regular file that
     *     is there is replaced once the new one is whole
     * @throws InputException when there is no PCI function below the root, the file can't be written, or what is there
     *     is no regular file
     */
    public static Summary write(Path root, Path tar) {
        Objects.requireNonNull(root, "root");
        Objects.requireNonNull(tar, "tar");
        return write(new LiveFiles(root), tar);
    }

    /** As {@link #write(Path, Path)}, of files that may have a kernel's log buffer of their own. */
    static Summary write(LiveFiles files, Path tar) {
        HostCapture capture = new HostCapture(files);
        try (WholeFile file = WholeFile.begin(tar);
                OutputStream out = packed(tar, new BufferedOutputStream(file.stream()));
                TarArchiveOutputStream archive = new TarArchiveOutputStream(out)) {
            archive.setLongFileMode(TarArchiveOutputStream.LONGFILE_POSIX);
            capture.writeAll(archive);
            archive.finish();
            if (out instanceof GZIPOutputStream zipped) {
                zipped.finish();
            }
            out.flush();
            file.keep();
        } catch (IOException e) {
            throw InputException.of(tar.toString(), "can't be written", e);
        }
        return new Summary(
                capture.functions,
                capture.list(SysfsReader.UNITS).size(),
                capture.list(SysfsReader.GROUPS).size(),
                capture.missing);
    }

    private static OutputStream packed(Path tar, OutputStream out) throws IOException {
        return COMPRESSED.matcher(tar.toString()).matches() ? new GZIPOutputStream(out) : out;
    }

    private void writeAll(TarArchiveOutputStream tar) throws IOException {
        functions(tar);
        if (functions == 0) {
            throw new InputException(
                    files.source() + ": no PCI function under sys/bus/pci/devices, nothing to capture");
        }
        units(tar);
        groups(tar);
        for (String table : TABLES) {
            file(tar, SysfsReader.TABLES + "/" + table);
        }
        for (String path : FILES) {
            file(tar, path);
        }
        kernel(tar);
        names(tar);
        for (String directory : directories) {
            directory(tar, directory);
        }
        if (headersOnly > 0) {
            missing.add("configuration space of " + headersOnly + " of " + functions + " " + ROOT_ONLY);
        }
        text(tar, MISSING, missing.isEmpty() ? "Nothing is missing.\n" : lines(missing));
    }

    private static String lines(List<String> messages) {
        return messages.stream().map(line -> Printable.line(line) + "\n").collect(Collectors.joining());
    }

    private void functions(TarArchiveOutputStream tar) throws IOException {
        keepDirectory(DRIVERS);
        for (String name : list(SysfsReader.DEVICES)) {
            String path = SysfsReader.DEVICES + "/" + name;
            link(tar, path);
            Optional<String> real = resolve(path).filter(files::isDirectory);
            if (real.isEmpty()) {
                missing.add(path + ": is a dangling link");
                continue;
            }
            functions++;
            function(tar, real.get());
        }
    }

    private void function(TarArchiveOutputStream tar, String directory) throws IOException {
        for (String name : OF_FUNCTION) {
            String path = directory + "/" + name;
            if (LINKS.contains(name)) {
                if (link(tar, path)) {
                    resolve(path).ifPresent(this::keepDirectory);
                }
            } else {
                file(tar, path);
            }
        }
        String vendor = number(directory + "/vendor");
        String code = number(directory + "/class");
        String base = "c " + part(code, 0);
        names.addAll(List.of(vendor, vendor + " " + number(directory + "/device"), base, base + " " + part(code, 2)));
        names.remove("");
    }

    private List<String> list(String path) {
        return files.list(path).stream()
                .filter(name -> isPlain(name) && !name.startsWith("."))
                .toList();
    }

    private Optional<String> resolve(String path) {
        return files.resolve(path).filter(HostCapture::isPlain);
    }

    private static boolean isPlain(String path) {
        return PLAIN.matcher(path).matches();
    }

    /** Returns the digits of a number that sysfs has, empty where there is none. */
    private String number(String path) {
        String text = files.text(path).orElse("");
        return text.substring(Math.min(2, text.length()));
    }

    private static String part(String digits, int from) {
        return digits.substring(Math.min(from, digits.length()), Math.min(from + 2, digits.length()));
    }

    private void units(TarArchiveOutputStream tar) throws IOException {
        keepDirectory(SysfsReader.UNITS);
        for (String name : list(SysfsReader.UNITS)) {
            String path = SysfsReader.UNITS + "/" + name;
            link(tar, path);
            String real = resolve(path).orElse(path);
            keepDirectory(real);
            for (String driver : list(real)) {
                String attributes = real + "/" + driver;
                if (driver.endsWith("-iommu") && files.linkTarget(attributes).isEmpty()) {
                    for (String attribute : list(attributes)) {
                        file(tar, attributes + "/" + attribute);
                    }
                }
            }
        }
    }

    private void groups(TarArchiveOutputStream tar) throws IOException {
        keepDirectory(SysfsReader.GROUPS);
        for (String group : list(SysfsReader.GROUPS)) {
            String path = SysfsReader.GROUPS + "/" + group;
            keepDirectory(path);
            for (String name : OF_GROUP) {
                file(tar, path + name);
            }
            for (String device : list(path + "/devices")) {
                link(tar, path + "/devices/" + device);
            }
        }
    }

    private void kernel(TarArchiveOutputStream tar) throws IOException {
        Optional<byte[]> commandLine = files.bytes(COMMAND_LINE);
        if (commandLine.isPresent()) {
            String text = new String(commandLine.get(), StandardCharsets.ISO_8859_1);
            text(tar, COMMAND_LINE, Redaction.text(parameters.of(text)) + "\n");
        } else {
            missing.add(NO_COMMAND_LINE);
        }
        Optional<byte[]> log = SysfsReader.LOGS.stream()
                .map(files::bytes)
                .flatMap(Optional::stream)
                .findFirst()
                .or(files::kernelRing);
        if (log.isPresent()) {
            text(tar, SysfsReader.LOGS.get(0), logs.of(log.get()));
        } else {
            missing.add(NO_LOG);
        }
    }

    private void names(TarArchiveOutputStream tar) throws IOException {
        for (String place : PciIds.PLACES) {
            Optional<byte[]> file = files.bytes(place);
            if (file.isPresent()) {
                entry(tar, new TarArchiveEntry(place, true), PciIds.only(file.get(), names));
                return;
            }
        }
    }

    private void file(TarArchiveOutputStream tar, String path) throws IOException {
        Optional<byte[]> contents = files.bytes(path);
        if (contents.isPresent()) {
            boolean config = path.endsWith("/" + Redaction.CONFIG);
            headersOnly += config && contents.get().length < ConfigSpace.CONVENTIONAL_BYTES ? 1 : 0;
            entry(tar, new TarArchiveEntry(path, true), config ? Redaction.config(contents.get()) : contents.get());
        } else if (files.exists(path)) {
            missing.add(path + (files.isReadable(path) ? ": can't be read" : ": permission denied"));
        }
    }

    private void keepDirectory(String path) {
        if (files.isDirectory(path)) {
            directories.add(path);
        }
    }

    private static void text(TarArchiveOutputStream tar, String path, String text) throws IOException {
        entry(tar, new TarArchiveEntry(path, true), text.getBytes(StandardCharsets.UTF_8));
    }

    private static void directory(TarArchiveOutputStream tar, String path) throws IOException {
        entry(tar, new TarArchiveEntry(path + "/", true), new byte[0]);
    }

    /** Captures a link; returns whether there is one. */
    private boolean link(TarArchiveOutputStream tar, String path) throws IOException {
        Optional<String> target = files.linkTarget(path).filter(HostCapture::isPlain);
        if (target.isPresent()) {
            TarArchiveEntry link = new TarArchiveEntry(path, TarConstants.LF_SYMLINK);
            link.setLinkName(target.get());
            entry(tar, link, new byte[0]);
        }
        return target.isPresent();
    }

    /** Entries hold neither their maker nor their time. */
    private static void entry(TarArchiveOutputStream tar, TarArchiveEntry entry, byte[] bytes) throws IOException {
        entry.setUserName("");
        entry.setGroupName("");
        entry.setIds(0, 0);
        entry.setModTime(0L);
        entry.setSize(bytes.length);
        tar.putArchiveEntry(entry);
        tar.write(bytes);
        tar.closeArchiveEntry();
    }
}
