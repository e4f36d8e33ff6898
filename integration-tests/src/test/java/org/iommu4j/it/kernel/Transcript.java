// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.iommu4j.LinuxRelease;
import org.iommu4j.pci.PciAddress;

/**
 * One boot of a real kernel: which kernel on which machine, and what a program printed, one line a call.
 *
 * @param name the file's name without its extension, such as {@code 6.12-sc1}
 * @param kernel the kernel's name, as uname prints it
 * @param release the kernel's release, with the stable kernel's patch level
 * @param hardware the machine
 * @param commandLine the kernel's command line: each option with its value, which is empty where it has none
 * @param lines the program's lines, in order
 */
public record Transcript(
        String name,
        String kernel,
        LinuxRelease release,
        GuestHardware hardware,
        Map<String, String> commandLine,
        List<TranscriptLine> lines) {
    private static final Pattern UNAME = Pattern.compile("Linux \\S+ (\\S+) #.*");

    /** Debian's kernel names have a build number; the stable kernel is in the version. */
    private static final Pattern DEBIAN = Pattern.compile("Debian (\\d+\\.\\d+\\.\\d+)");

    /** The guest's drivers, unless the command line names others; but for those of devices behind bridges. */
    private static final List<String> DRIVERS = List.of("virtio_pci", "virtio_blk", "nvme");

    private static final Pattern FRAME = Pattern.compile("(BEGIN|END)-[A-Z0-9]+");

    /** Copies the collections. */
    public Transcript {
        commandLine = Map.copyOf(commandLine);
        lines = List.copyOf(lines);
    }

    /**
     * Reads a transcript. One without head lines is of a machine whose head lines another transcript has, {@code
     * 6.1-NAME.txt} beside it.
     *
     * @throws AssertionError where it is no transcript, or was cut off
     */
    public static Transcript read(Path file) {
        List<String> all = linesOf(file);
        String fileName = file.getFileName().toString();
        List<String> head = head(all);
        if (head.isEmpty()) {
            head = head(linesOf(file.resolveSibling("6.1-" + fileName)));
        }
        String kernel = "";
        LinuxRelease release = null;
        Map<String, String> commandLine = Map.of();
        List<TranscriptLine> lines = new ArrayList<>();
        boolean ended = false;
        for (int i = (int) all.stream().takeWhile(line -> line.startsWith("#")).count(); i < all.size(); i++) {
            String line = all.get(i).stripTrailing();
            Matcher uname = UNAME.matcher(line);
            if (FRAME.matcher(line).matches()) {
                ended |= line.startsWith("END");
            } else if (release == null && uname.matches()) {
                kernel = uname.group(1);
                release = release(line, kernel);
            } else if (commandLine.isEmpty()) {
                commandLine = options(line);
            } else if (!line.isEmpty()) {
                lines.add(new TranscriptLine(i + 1, line));
            }
        }
        if (release == null || !ended) {
            throw new AssertionError(file + " is no whole transcript, expected uname's line and END");
        }
        return new Transcript(
                fileName.replaceFirst("\\.txt$", ""), kernel, release, GuestHardware.of(head), commandLine, lines);
    }

    private static List<String> linesOf(Path file) {
        try {
            return Files.readAllLines(file);
        } catch (IOException e) {
            throw new UncheckedIOException("can't read " + file, e);
        }
    }

    private static List<String> head(List<String> lines) {
        return lines.stream().takeWhile(line -> line.startsWith("# ")).toList();
    }

    /** Reads the release out of uname's line, which has the kernel's name and, on Debian, the stable kernel's. */
    static LinuxRelease release(String uname, String kernel) {
        Matcher debian = DEBIAN.matcher(uname);
        String named = debian.find() ? debian.group(1) : kernel;
        return LinuxRelease.ofKernel(named).orElseThrow(() -> new AssertionError("no release in: " + uname));
    }

    private static Map<String, String> options(String line) {
        Map<String, String> options = new LinkedHashMap<>();
        for (String option : line.strip().split("\\s+", -1)) {
            int equals = option.indexOf('=');
            options.put(
                    equals < 0 ? option : option.substring(0, equals), equals < 0 ? "" : option.substring(equals + 1));
        }
        return options;
    }

    /**
     * Returns whether a driver had taken its devices. A distribution's kernel has all drivers as modules, of which the
     * command line names those to load. One that was built for the transcripts, whose name is a bare number, has none.
     */
    boolean hasDriver(String driver) {
        boolean packaged = !kernel.matches("[0-9.]+");
        String named = commandLine.get("qdrv");
        return packaged && (named == null ? DRIVERS : List.of(named.split(",", -1))).contains(driver);
    }

    /** Returns the device that an option of the command line names. */
    PciAddress address(String option) {
        return PciAddress.parse(Objects.requireNonNull(commandLine.get(option), option));
    }

    /**
     * Returns the machine's name, by which transcripts of several kernels are compared: the name without its kernel.
     */
    public String machine() {
        return name.replaceFirst("^[0-9.]+-", "");
    }

    @Override
    public String toString() {
        return name;
    }
}
