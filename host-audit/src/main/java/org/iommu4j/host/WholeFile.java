// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.channels.Channels;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Objects;

/**
 * A file that appears under its name when it is complete, or not at all.
 *
 * <p>Until then it is a new file beside its target. It is deleted when it is not kept, also when the process is asked
 * to end. It replaces a regular file or none; anything else with the name is left alone, and no link is followed.
 */
final class WholeFile implements AutoCloseable {
    private final Path named;
    private final Path target;
    private final PrivateFile part;
    private final OutputStream stream;
    private final Thread cleaner;

    private WholeFile(Path named, Path target) throws IOException {
        this.named = named;
        this.target = target;
        this.part = PrivateFile.create(Objects.requireNonNullElse(target.getParent(), target), ".iommu4j-", ".part");
        this.stream = Channels.newOutputStream(part.channel());
        this.cleaner = new Thread(this::deletePart);
        Runtime.getRuntime().addShutdownHook(cleaner);
    }

    /**
     * Begins a file.
     *
     * @param named the name that it will have, as the user wrote it
     * @throws InputException when that is the name of something else than a regular file
     * @throws IOException when its directory takes no file
     */
    static WholeFile begin(Path named) throws IOException {
        Path target = named.toAbsolutePath();
        refuseOthers(named, target);
        return new WholeFile(named, target);
    }

    private static void refuseOthers(Path named, Path target) throws IOException {
        try {
            BasicFileAttributes there =
                    Files.readAttributes(target, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
            if (!there.isRegularFile()) {
                throw new InputException(named + ": is "
                        + (there.isDirectory()
                                ? "a directory"
                                : there.isSymbolicLink() ? "a symbolic link" : "a device, pipe or socket")
                        + ", expected a regular file or none");
            }
        } catch (NoSuchFileException e) {
            return; // the name is free
        }
    }

    /** Returns where its contents are written. */
    OutputStream stream() {
        return stream;
    }

    /**
     * Gives it its name, with all that was written.
     *
     * @throws InputException when by now the name is another thing's
     */
    void keep() throws IOException {
        part.channel().force(true);
        refuseOthers(named, target);
        Files.move(part.path(), target, StandardCopyOption.ATOMIC_MOVE);
    }

    @Override
    public void close() throws IOException {
        stream.close();
        Files.deleteIfExists(part.path());
        try {
            Runtime.getRuntime().removeShutdownHook(cleaner);
        } catch (IllegalStateException e) {
            return; // the process ends, and the cleaner with it
        }
    }

    private void deletePart() {
        try {
            Files.deleteIfExists(part.path());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
