// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer;

import java.nio.file.Path;
import java.util.Objects;

/**
 * How an exploration works. None of it changes which states are found, but for symmetry.
 *
 * @param workers how many threads, 1 to {@value #MAX_WORKERS}; states are divided among them by fingerprint
 * @param symmetry whether states are told apart by {@link TransitionSystem#canonicalFingerprint}
 * @param frontierMemory how many bytes of frontier stay in memory, for all workers together; 0 or more
 * @param spillDirectory where the rest of the frontier goes, to files that are gone when the exploration is closed
 */
public record Settings(int workers, boolean symmetry, long frontierMemory, Path spillDirectory) {
    /** The greatest number of workers: {@value}. */
    public static final int MAX_WORKERS = 64;

    /** One worker, symmetry, a frontier that may take an eighth of the heap, and the directory for temporary files. */
    public static final Settings DEFAULT =
            new Settings(1, true, Runtime.getRuntime().maxMemory() / 8, Path.of(System.getProperty("java.io.tmpdir")));

    /** Refuses what is out of range by IllegalArgumentException. */
    public Settings {
        Objects.requireNonNull(spillDirectory);
        Bounds.require(workers >= 1 && workers <= MAX_WORKERS, "number of workers", workers, "1 to " + MAX_WORKERS);
        Bounds.require(frontierMemory >= 0, "memory of the frontier", frontierMemory, "0 bytes or more");
    }

    /** Returns these settings with another number of workers. */
    public Settings withWorkers(int other) {
        return new Settings(other, symmetry, frontierMemory, spillDirectory);
    }

    /** Returns these settings with symmetry or without. */
    public Settings withSymmetry(boolean other) {
        return new Settings(workers, other, frontierMemory, spillDirectory);
    }

    /** Returns these settings with another part of the frontier in memory. */
    public Settings withFrontierMemory(long other) {
        return new Settings(workers, symmetry, other, spillDirectory);
    }

    /** Returns these settings with another place for the rest of the frontier. */
    public Settings withSpillDirectory(Path other) {
        return new Settings(workers, symmetry, frontierMemory, other);
    }
}
