// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
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

    private static final Set<String> FUNCTION_FILES = Set.of(
            "class",
            "vendor",
            "device",
            "subsystem_vendor",
            "subsystem_device",
            "revision",
            "numa_node",
            SysfsReader.RESET_METHOD);
    private static final Set<String> FUNCTION_LINKS = Set.of("driver", "iommu", "iommu_group", "physfn");

    /** ACPI tables that describe IOMMUs, and where configuration space is. Others may hold licence keys. */
    private static final List<String> TABLES = List.of("DMAR", "IVRS", "IORT", "RIMT", "VIOT", "MCFG");

    private static final String DRIVERS = "sys/bus/pci/drivers";

    private final LiveFiles files;
    private final BootParameters parameters;
    private final KernelLogReader logs;
    private final Set<String> directories = new TreeSet<>();
    private final Set<String> written = new HashSet<>();
    private final List<String> missing = new ArrayList<>();
    private int functions;
    private int headersOnly;

    private HostCapture(LiveFiles files) {
        IommuVendors vendors = IommuVendors.load();
        this.files = files;
        this.parameters = new BootParameters(vendors);
        this.logs = new KernelLogReader(vendors);
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
            throw new InputException(tar + ": can't be written (" + InputException.reason(e) + ")", e);
        }
        return new Summary(
                capture.functions,
                capture.files.list(SysfsReader.UNITS).size(),
                capture.files.list(SysfsReader.GROUPS).size(),
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
        tables(tar);
        file(tar, SysfsReader.UNSAFE_INTERRUPTS);
        kernel(tar);
        names(tar);
        for (String directory : directories) {
            directory(tar, directory);
        }
        if (headersOnly > 0) {
            missing.add("configuration space of " + headersOnly + " of " + functions
                    + " functions after the header: only root may read it; without it neither Enable No Snoop nor"
                    + " ACS is known");
        }
        text(tar, MISSING, missing.isEmpty() ? "Nothing is missing.\n" : lines(missing));
    }

    private static String lines(List<String> messages) {
        return messages.stream().map(line -> Printable.line(line) + "\n").collect(Collectors.joining());
    }

    private void functions(TarArchiveOutputStream tar) throws IOException {
        keepDirectory(DRIVERS);
        for (String name : files.list(SysfsReader.DEVICES)) {
            String path = SysfsReader.DEVICES + "/" + name;
            Optional<String> link = files.linkTarget(path);
            if (link.isPresent()) {
                link(tar, path, link.get());
            }
            Optional<String> real = files.resolve(path);
            if (real.isEmpty()) {
                missing.add(path + ": is a dangling link");
                continue;
            }
            functions++;
            function(tar, real.get());
        }
    }

    private void function(TarArchiveOutputStream tar, String directory) throws IOException {
        for (String name : new TreeSet<>(files.list(directory))) {
            String path = directory + "/" + name;
            if (FUNCTION_FILES.contains(name)) {
                file(tar, path);
            } else if (FUNCTION_LINKS.contains(name)) {
                Optional<String> target = files.linkTarget(path);
                if (target.isPresent()) {
                    link(tar, path, target.get());
                    files.resolve(path).ifPresent(this::keepDirectory);
                }
            } else if (name.equals("config")) {
                Optional<byte[]> config = files.bytes(path);
                if (config.isPresent()) {
                    headersOnly += config.get().length < ConfigSpace.CONVENTIONAL_BYTES ? 1 : 0;
                    bytes(tar, path, Redaction.config(config.get()));
                } else {
                    refused(path);
                }
            }
        }
    }

    private void units(TarArchiveOutputStream tar) throws IOException {
        keepDirectory(SysfsReader.UNITS);
        for (String name : files.list(SysfsReader.UNITS)) {
            String path = SysfsReader.UNITS + "/" + name;
            Optional<String> link = files.linkTarget(path);
            if (link.isPresent()) {
                link(tar, path, link.get());
            }
            String real = files.resolve(path).orElse(path);
            keepDirectory(real);
            for (String driver : files.list(real)) {
                String attributes = real + "/" + driver;
                if (driver.endsWith("-iommu") && files.linkTarget(attributes).isEmpty()) {
                    for (String attribute : files.list(attributes)) {
                        file(tar, attributes + "/" + attribute);
                    }
                }
            }
        }
    }

    private void groups(TarArchiveOutputStream tar) throws IOException {
        keepDirectory(SysfsReader.GROUPS);
        for (String group : files.list(SysfsReader.GROUPS)) {
            String path = SysfsReader.GROUPS + "/" + group;
            keepDirectory(path);
            file(tar, path + SysfsReader.GROUP_NAME);
            file(tar, path + "/type");
            file(tar, path + "/reserved_regions");
            for (String device : files.list(path + "/devices")) {
                Optional<String> target = files.linkTarget(path + "/devices/" + device);
                if (target.isPresent()) {
                    link(tar, path + "/devices/" + device, target.get());
                }
            }
        }
    }

    private void tables(TarArchiveOutputStream tar) throws IOException {
        List<String> there = files.list(SysfsReader.TABLES);
        for (String table : TABLES) {
            if (there.contains(table)) {
                file(tar, SysfsReader.TABLES + "/" + table);
            }
        }
    }

    private void kernel(TarArchiveOutputStream tar) throws IOException {
        file(tar, "proc/sys/kernel/osrelease");
        Optional<String> commandLine = files.commandLine();
        if (commandLine.isPresent()) {
            text(tar, "proc/cmdline", Redaction.text(parameters.of(commandLine.get())) + "\n");
        } else {
            missing.add("proc/cmdline: the kernel's parameters are unknown");
        }
        Optional<byte[]> log = SysfsReader.LOGS.stream()
                .map(files::bytes)
                .flatMap(Optional::stream)
                .findFirst()
                .or(files::kernelRing);
        if (log.isPresent()) {
            StringBuilder kept = new StringBuilder();
            for (String line : TextLines.of(log.get())) {
                logs.essence(line)
                        .ifPresent(
                                essence -> kept.append(Redaction.text(essence)).append('\n'));
            }
            text(tar, SysfsReader.LOGS.get(0), kept.toString());
        } else {
            missing.add("kernel log: var/log/dmesg can't be read; run 'dmesg > dmesg.txt' as root and pass it with"
                    + " --dmesg");
        }
    }

    private void names(TarArchiveOutputStream tar) throws IOException {
        Set<Integer> devices = new TreeSet<>();
        Set<Integer> classes = new TreeSet<>();
        for (String name : files.list(SysfsReader.DEVICES)) {
            String path = SysfsReader.DEVICES + "/" + name;
            int vendor = number(path + "/vendor");
            int device = number(path + "/device");
            int code = number(path + "/class");
            if (vendor >= 0 && device >= 0) {
                devices.add(vendor << 16 | device);
            }
            if (code >= 0) {
                classes.add(code >>> 8);
            }
        }
        for (String place : PciIds.PLACES) {
            Optional<byte[]> file = files.bytes(place);
            if (file.isPresent()) {
                Set<Integer> vendors = new HashSet<>();
                devices.forEach(pair -> vendors.add(pair >>> 16));
                text(tar, place, PciIds.read(file.get(), vendors::contains).only(devices, classes));
                return;
            }
        }
    }

    private int number(String path) {
        String text = files.text(path).orElse("");
        return text.matches("0x[0-9a-f]{1,6}") ? Integer.parseInt(text.substring(2), 16) : -1;
    }

    private void file(TarArchiveOutputStream tar, String path) throws IOException {
        Optional<byte[]> contents = files.bytes(path);
        if (contents.isPresent()) {
            bytes(tar, path, contents.get());
        } else if (files.exists(path)) {
            refused(path);
        }
    }

    private void refused(String path) {
        missing.add(path + ": " + files.refusal(path).orElse("can't be read"));
    }

    private void keepDirectory(String path) {
        if (files.isDirectory(path)) {
            directories.add(path);
        }
    }

    private static void text(TarArchiveOutputStream tar, String path, String text) throws IOException {
        entry(tar, new TarArchiveEntry(path, true), text.getBytes(StandardCharsets.UTF_8));
    }

    private void bytes(TarArchiveOutputStream tar, String path, byte[] bytes) throws IOException {
        if (written.add(path)) {
            entry(tar, new TarArchiveEntry(path, true), bytes);
        }
    }

    private void directory(TarArchiveOutputStream tar, String path) throws IOException {
        entry(tar, new TarArchiveEntry(path + "/", true), new byte[0]);
    }

    private void link(TarArchiveOutputStream tar, String path, String target) throws IOException {
        if (written.add(path)) {
            TarArchiveEntry link = new TarArchiveEntry(path, TarConstants.LF_SYMLINK);
            link.setLinkName(target);
            entry(tar, link, new byte[0]);
        }
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
