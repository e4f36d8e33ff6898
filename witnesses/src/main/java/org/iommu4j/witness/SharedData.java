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
 * <p>Each constant is one witness: a place in that directory, and everything below it. A test that asks for an absent
 * file is skipped with a message, or fails under {@code -Diommu4j.shared.required=true}.
 */
public enum SharedData {
    /** ACPI tables of real machines, each with the output of ACPICA's disassembler. */
    ACPI_TABLES("data/acpi"),
    /** Capability registers of real units. */
    REGISTERS("data/registers.tsv"),
    /** Listings, logs and tables of single machines. */
    MACHINES("data/machines"),
    /** Small inputs of the kinds that people paste, each with the right answer. */
    REPORTS("data/reports"),
    /** Answers of the reference model of the RISC-V IOMMU. */
    RISCV_VECTORS("data/riscv"),
    /** The list of everything collected from real machines. */
    COLLECTION("data"),
    /** Captures of hosts that ran Linux in QEMU. */
    CAPTURES("linux/captures"),
    /** Memory of hosts that ran Linux in QEMU: the tables that Linux wrote. */
    DUMPS("linux/dumps"),
    /** Answers of real kernels to VFIO's calls. */
    VFIO_ANSWERS("linux/vfio"),
    /** Answers of real kernels to VFIO's calls on {@code /dev/iommu}. */
    COMPATIBILITY_ANSWERS("linux/vfiocompat"),
    /** Answers of real kernels to iommufd's calls. */
    IOMMUFD_ANSWERS("linux/iommufd"),
    /** Answers of real kernels about two devices whose units differ. */
    MIXED_ANSWERS("linux/mixed"),
    /** Answers of real kernels to KVM's calls, and the CPUs on which a guest's WBINVD ran. */
    KVM_ANSWERS("linux/kvm");

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
     * Returns a file or directory; where it is absent, the calling test ends here.
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

    /** As {@link #path}, but does not record the witness as used. */
    static Path find(String name) {
        SharedData witness = of(name);
        String directory = System.getProperty(DIRECTORY);
        Path shared = directory == null ? null : Path.of(directory);
        Path path = shared == null ? null : shared.resolve(name);
        // Where all of a witness is absent, every file of it has the same reason, so the report has one line of it.
        String problem = problem(shared == null ? null : shared.resolve(witness.place));
        problem = problem == null ? problem(path) : problem;
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
     * Returns all files below a directory whose names have the suffix, sorted. Where the directory is absent, the
     * calling test ends here, as with {@link #path}.
     *
     * @param directory path below the shared directory, with slashes
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

    /** Returns the witness with the nearest place above a path. */
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
