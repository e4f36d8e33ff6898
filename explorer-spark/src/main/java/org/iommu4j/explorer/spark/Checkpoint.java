// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer.spark;

import java.io.DataInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.stream.Stream;
import org.iommu4j.explorer.World;

/**
 * A directory with what an exploration has found, of which it keeps the last round. A round counts when its file {@code
 * progress} is there, which is written last; what a run left unfinished is removed by the next.
 */
final class Checkpoint {
    private static final int VERSION = 1;
    private static final String PROGRESS = "progress";
    private static final String REMOVED = "removed-";

    private final Path directory;
    private final int parts;

    private Checkpoint(Path directory, int parts) {
        this.directory = directory;
        this.parts = parts;
    }

    /**
     * Opens a directory, and makes it if it is not there.
     *
     * @param parts into how many parts the states are divided, if the directory has none yet
     * @throws IllegalArgumentException if the directory has another exploration, or anything else
     */
    static Checkpoint open(Path directory, World world, boolean symmetry, int parts) throws IOException {
        Files.createDirectories(directory);
        Path file = directory.resolve("world");
        String name = world.factory() + " " + sha256(world.input()) + (symmetry ? " by symmetry" : " in full");
        if (Files.exists(file)) {
            try (DataInputStream input = new DataInputStream(Files.newInputStream(file))) {
                int version = input.readInt();
                String there = version == VERSION ? input.readUTF() : "version " + version;
                if (!there.equals(name)) {
                    throw new IllegalArgumentException(
                            directory + ": the checkpoint of another exploration: " + there + ", expected " + name);
                }
                return new Checkpoint(directory, input.readInt());
            }
        }
        try (Stream<Path> others = Files.list(directory)) {
            if (others.findAny().isPresent()) {
                throw new IllegalArgumentException(directory + ": no checkpoint, expected one or an empty directory");
            }
        }
        Round.write(file, output -> {
            output.writeInt(VERSION);
            output.writeUTF(name);
            output.writeInt(parts);
        });
        return new Checkpoint(directory, parts);
    }

    private static String sha256(byte[] input) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(input));
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every Java has SHA-256", e);
        }
    }

    int parts() {
        return parts;
    }

    Round round(int depth) {
        return new Round(directory.toString(), depth);
    }

    /** Makes an empty directory for a round. */
    void begin(Round round) throws IOException {
        delete(round.directory());
        Files.createDirectory(round.directory());
    }

    /** Makes a round count, and forgets the one before. */
    void commit(Progress progress) throws IOException {
        Round round = round(progress.depth());
        Round.write(round.directory().resolve(PROGRESS), progress::write);
        if (progress.depth() > 0) {
            delete(round.previous().directory());
        }
    }

    /** Returns the last round that counts. */
    Optional<Progress> last() throws IOException {
        List<Path> rounds;
        try (Stream<Path> all = Files.list(directory)) {
            rounds = all.filter(path -> path.getFileName().toString().startsWith(Round.PREFIX)
                            && Files.exists(path.resolve(PROGRESS)))
                    .toList();
        }
        Progress last = null;
        for (Path round : rounds) {
            try (DataInputStream input = new DataInputStream(Files.newInputStream(round.resolve(PROGRESS)))) {
                Progress progress = Progress.read(input);
                last = last == null || progress.depth() > last.depth() ? progress : last;
            }
        }
        return Optional.ofNullable(last);
    }

    /** Returns how many bytes there are. */
    long bytes() throws IOException {
        try (Stream<Path> files = Files.walk(directory)) {
            return files.mapToLong(file -> file.toFile().length()).sum();
        }
    }

    /** Removes all. */
    void delete() throws IOException {
        delete(directory);
    }

    private static void delete(Path directory) throws IOException {
        if (!Files.exists(directory)) {
            return;
        }
        // A task that was stopped may still write: after this it finds no directory.
        Path aside = directory.resolveSibling(REMOVED + UUID.randomUUID());
        Files.move(directory, aside, StandardCopyOption.ATOMIC_MOVE);
        List<Path> files;
        try (Stream<Path> walk = Files.walk(aside)) {
            files = walk.sorted(Comparator.reverseOrder()).toList();
        }
        for (Path file : files) {
            Files.deleteIfExists(file);
        }
    }
}
