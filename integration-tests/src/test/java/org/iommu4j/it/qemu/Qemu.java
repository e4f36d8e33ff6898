// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.qemu;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * A QEMU that tests can start.
 *
 * @param binary what to start
 * @param major version, for example 7
 * @param minor version, for example 2
 */
public record Qemu(String binary, int major, int minor) {
    /**
     * Name of the system property that names QEMUs: programs, with {@link File#pathSeparator} between them, or {@link
     * #ABSENT}. Without it the path's {@code qemu-system-x86_64} is the only one.
     */
    public static final String BINARIES = "iommu4j.qemu";

    /** The property's value for doing as if no QEMU were installed. */
    public static final String ABSENT = "absent";

    private static final String UNTIL_INPUT_ENDS = "\"$@\" </dev/null & qemu=$!; read -r _; kill -9 $qemu; wait $qemu";
    private static final String DEFAULT = "qemu-system-x86_64";
    private static final Pattern VERSION = Pattern.compile("version (\\d+)\\.(\\d+)");

    /** Returns the names of the programs that the build has tests run on; empty where QEMU is said to be absent. */
    static List<String> named(String property) {
        if (property.equals(ABSENT)) {
            return List.of();
        }
        return Stream.of(property.split(Pattern.quote(File.pathSeparator)))
                .filter(name -> !name.isBlank())
                .toList();
    }

    /** Returns the names of the programs that this build has tests run on. */
    public static List<String> named() {
        return named(System.getProperty(BINARIES, DEFAULT));
    }

    /**
     * Asks a program for its version.
     *
     * @throws IOException if there is none, or it is no QEMU; the message says what it did instead
     */
    public static Qemu at(String binary) throws IOException {
        Process process = new ProcessBuilder(binary, "--version")
                .redirectErrorStream(true)
                .start();
        process.getOutputStream().close();
        String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        Matcher version = VERSION.matcher(text);
        if (!version.find()) {
            throw new IOException("'" + binary + " --version' printed '" + text.strip() + "'");
        }
        return new Qemu(binary, Integer.parseInt(version.group(1)), Integer.parseInt(version.group(2)));
    }

    /**
     * Returns what starts it under a shell that kills it as soon as the shell's input ends, so that no QEMU outlives
     * this JVM, however that ends.
     */
    public ProcessBuilder command(List<String> arguments) {
        List<String> command = new ArrayList<>(List.of("sh", "-c", UNTIL_INPUT_ENDS, "sh", binary));
        command.addAll(arguments);
        return new ProcessBuilder(command).redirectErrorStream(true);
    }

    /**
     * Returns QEMU's device for an AMD-Vi unit that translates. From 10.0 on the unit has to be told: by default all
     * DMA passes it, although a kernel drives it and its device table entries are valid.
     */
    public String amdViUnit() {
        if (isAtLeast(11, 0)) {
            return "amd-iommu,dma-remap=on";
        }
        return isAtLeast(10, 0) ? "amd-iommu,pt=off" : "amd-iommu";
    }

    /** Returns whether it is this version or a later one. */
    boolean isAtLeast(int thatMajor, int thatMinor) {
        return major > thatMajor || (major == thatMajor && minor >= thatMinor);
    }

    @Override
    public String toString() {
        return "QEMU " + major + "." + minor;
    }
}
