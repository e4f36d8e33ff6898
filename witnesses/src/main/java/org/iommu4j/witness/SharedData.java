// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.witness;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Data from outside the repository, in the directory that the system property {@value #DIRECTORY} names.
 *
 * <p>Each constant is one witness: a place in that directory, and all below it. A test that asks for what is not there
 * is skipped with a message, or fails under {@code -Diommu4j.shared.required=true}.
 */
public enum SharedData {
    /** ACPI tables of real machines, each with what ACPICA's disassembler prints of it. */
    ACPI_TABLES("data/acpi"),
    /** Capability registers of real units. */
    REGISTERS("data/registers.tsv"),
    /** What was collected of single machines: listings, logs, tables. */
    MACHINES("data/machines"),
    /** The list of all that was collected of real machines. */
    COLLECTION("data"),
    /** Hosts that ran Linux in QEMU, captured. */
    CAPTURES("linux/captures"),
    /** Memory of hosts that ran Linux in QEMU: the tables that Linux wrote. */
    DUMPS("linux/dumps"),
    /** What real kernels answered to VFIO's calls. */
    VFIO_ANSWERS("linux/vfio");

    /** Name of the system property that holds the directory. */
    public static final String DIRECTORY = "iommu4j.shared";

    /** Name of the system property that makes a missing file a failure. */
    public static final String REQUIRED = "iommu4j.shared.required";

    private final String place;

    SharedData(String place) {
        this.place = place;
    }

    /** Returns the witness's name in reports: its place in the directory, with slashes. */
    public String place() {
        return "shared/" + place;
    }

    /**
     * Returns a file or directory that is there; where it is not, the calling test ends here.
     *
     * @param name path below the directory, with slashes
     * @throws org.opentest4j.TestAbortedException if it is absent
     * @throws AssertionError if it is absent and required
     * @throws IllegalArgumentException if no witness has such a path
     */
    public static Path path(String name) {
        Path path = find(name);
        Witnesses.used(of(name).place());
        return path;
    }

    /** Returns what {@link #path} does, and ends the calling test where that does, without a note that it was used. */
    static Path find(String name) {
        SharedData witness = of(name);
        String directory = System.getProperty(DIRECTORY);
        Path path = directory == null ? null : Path.of(directory).resolve(name);
        String problem = problem(path);
        if (problem == null && path != null) {
            return path;
        }
        throw Witnesses.missing(witness.place(), problem + " (-D" + DIRECTORY + "=DIR names the directory)", REQUIRED);
    }

    private static @Nullable String problem(@Nullable Path path) {
        if (path == null) {
            return "the system property " + DIRECTORY + " is not set";
        }
        return Files.isReadable(path) ? null : "no " + path.toAbsolutePath().normalize();
    }

    /**
     * Returns all files below a directory whose names end so, sorted; where it is not there the calling test ends here,
     * as {@link #path} says.
     *
     * @param directory path below the directory of all, with slashes
     * @param suffix end of the files' names, for example {@code .tar}
     */
    public static List<Path> files(String directory, String suffix) {
        try (Stream<Path> files = Files.walk(path(directory))) {
            return files.filter(file -> Files.isRegularFile(file)
                            && file.getFileName().toString().endsWith(suffix))
                    .sorted()
                    .toList();
        } catch (IOException e) {
            throw new UncheckedIOException("can't list " + directory, e);
        }
    }

    /** Returns the witness whose place is nearest above a path. */
    private static SharedData of(String name) {
        SharedData nearest = null;
        for (SharedData witness : values()) {
            if ((name + "/").startsWith(witness.place + "/")
                    && (nearest == null || witness.place.length() > nearest.place.length())) {
                nearest = witness;
            }
        }
        if (nearest == null) {
            throw new IllegalArgumentException(
                    "no witness has the path '" + name + "'; add one to " + SharedData.class.getSimpleName());
        }
        return nearest;
    }
}
