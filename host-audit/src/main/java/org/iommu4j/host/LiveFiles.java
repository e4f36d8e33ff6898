// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** The files of the running host, read when they are asked for; only regular files. */
final class LiveFiles implements HostFiles {
    private static final int MAX_NAMES = 65_536;

    /** The root of the running host. */
    private static final Path HOST = Path.of("/");

    private final Path root;
    private final @Nullable Path ring;

    /**
     * Reads below a root; the kernel's log buffer only of the running host.
     *
     * @throws InputException when there is no such directory
     */
    LiveFiles(Path root) {
        this(root, root.equals(HOST) ? Path.of("/dev/kmsg") : null);
    }

    /**
     * Reads below a root.
     *
     * @param ring the kernel's log buffer; null for none
     * @throws InputException when there is no such directory
     */
    LiveFiles(Path root, @Nullable Path ring) {
        this.ring = ring;
        try {
            this.root = root.toRealPath();
        } catch (IOException e) {
            throw InputException.of(root.toString(), "can't be read", e);
        }
    }

    @Override
    public String source() {
        return root.toString();
    }

    @Override
    public Optional<byte[]> kernelRing() {
        return Optional.ofNullable(ring).flatMap(KernelRing::read);
    }

    /** Returns whether the user may read a file. */
    boolean isReadable(String path) {
        return Files.isReadable(root.resolve(path));
    }

    boolean exists(String path) {
        return Files.exists(root.resolve(path));
    }

    Optional<String> linkTarget(String path) {
        Path link = root.resolve(path);
        try {
            return Files.isSymbolicLink(link)
                    ? Optional.of(Files.readSymbolicLink(link).toString())
                    : Optional.empty();
        } catch (IOException e) {
            return Optional.empty();
        }
    }

    @Override
    public Optional<byte[]> bytes(String path, int max) {
        Path file = root.resolve(path);
        if (!Files.isRegularFile(file)) {
            return Optional.empty();
        }
        try (InputStream in = Files.newInputStream(file)) {
            byte[] bytes = in.readNBytes(max + 1);
            return bytes.length > max ? Optional.empty() : Optional.of(bytes);
        } catch (IOException e) {
            return Optional.empty(); // absent, or not for this user: unknown either way
        }
    }

    @Override
    public List<String> list(String path) {
        Path directory = root.resolve(path);
        if (!Files.isDirectory(directory)) {
            return List.of(); // to open a named pipe would be to wait
        }
        try (Stream<Path> names = Files.list(directory)) {
            return names.limit(MAX_NAMES)
                    .map(name -> name.getFileName().toString())
                    .sorted()
                    .toList();
        } catch (IOException e) {
            return List.of();
        }
    }

    @Override
    public boolean isDirectory(String path) {
        return Files.isDirectory(root.resolve(path));
    }

    @Override
    public Optional<String> resolve(String path) {
        Path asked = root.resolve(path);
        if (!Files.exists(asked, LinkOption.NOFOLLOW_LINKS)) {
            return Optional.empty();
        }
        try {
            Path real = asked.toRealPath();
            return real.startsWith(root) ? Optional.of(root.relativize(real).toString()) : Optional.empty();
        } catch (IOException e) {
            return Optional.empty();
        }
    }
}
