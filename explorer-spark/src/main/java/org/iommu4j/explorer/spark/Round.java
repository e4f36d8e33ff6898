// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer.spark;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.Serializable;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Locale;
import java.util.UUID;

/**
 * The files of one round, in a directory that all machines see by the same name. Each part of the states has:
 * <ul>
 *   <li>{@code found}: fingerprint and path of each state of this round's depth, in the order of fingerprints;
 *   <li>{@code visited}: the fingerprints of all states up to this depth, in order;
 *   <li>{@code merged}: how many were found, and the first violation among them;
 *   <li>{@code expanded}: how many actions led on from the round before, and the first state of that depth that is
 *       stuck.
 * </ul>
 *
 * <p>A file appears whole or not at all.
 *
 * @param checkpoint the directory of all rounds
 * @param depth the depth of the states found, from 0
 */
record Round(String checkpoint, int depth) implements Serializable {
    static final String PREFIX = "round-";

    /** What a file is about. */
    enum Kind {
        FOUND,
        VISITED,
        MERGED,
        EXPANDED
    }

    /** Writes a file. */
    @FunctionalInterface
    interface Body {
        void write(DataOutputStream output) throws IOException;
    }

    Round next() {
        return new Round(checkpoint, depth + 1);
    }

    Round previous() {
        return new Round(checkpoint, depth - 1);
    }

    Path directory() {
        return Path.of(checkpoint, PREFIX + depth);
    }

    Path file(Kind kind, int part) {
        return directory().resolve(kind.name().toLowerCase(Locale.ROOT) + "-" + part);
    }

    DataInputStream open(Kind kind, int part) throws IOException {
        return new DataInputStream(new BufferedInputStream(Files.newInputStream(file(kind, part)), 1 << 16));
    }

    Tally tally(Kind kind, int part) throws IOException {
        try (DataInputStream input = open(kind, part)) {
            return Tally.read(input);
        }
    }

    /** Returns how many states of this depth a part has. */
    long found(int part) throws IOException {
        return Files.size(file(Kind.FOUND, part)) / (Row.FINGERPRINT_BYTES + (long) depth * Character.BYTES);
    }

    /** Returns how many states a part has up to this depth. */
    long visited(int part) throws IOException {
        return Files.size(file(Kind.VISITED, part)) / Row.FINGERPRINT_BYTES;
    }

    /** A file that is written beside its place, since another attempt of the same task may write it as well. */
    static final class Draft implements AutoCloseable {
        private final Path file;
        private final Path draft;
        private final DataOutputStream output;

        Draft(Path file) throws IOException {
            this.file = file;
            this.draft = file.resolveSibling(file.getFileName() + "." + UUID.randomUUID());
            this.output = new DataOutputStream(new BufferedOutputStream(Files.newOutputStream(draft), 1 << 16));
        }

        DataOutputStream output() {
            return output;
        }

        /** Puts what was written in its place. */
        void publish() throws IOException {
            output.close();
            Files.move(draft, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        }

        /** Removes what was not published. */
        @Override
        public void close() throws IOException {
            output.close();
            Files.deleteIfExists(draft);
        }
    }

    /** Writes a small file. */
    static void write(Path file, Body body) throws IOException {
        try (Draft draft = new Draft(file)) {
            body.write(draft.output());
            draft.publish();
        }
    }
}
