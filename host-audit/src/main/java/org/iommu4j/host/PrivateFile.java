// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.LinkOption;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.UUID;

/** A new file of the command, with an unpredictable name, which only its owner may read. */
public final class PrivateFile {
    private final Path path;
    private final FileChannel channel;

    private PrivateFile(Path path, FileChannel channel) {
        this.path = path;
        this.channel = channel;
    }

    /**
     * Makes a file; nothing that is there already is opened, and no link followed.
     *
     * @param prefix begins its name
     * @param suffix ends it
     * @param more how it is opened, in addition to writing
     * @throws IOException when the directory takes none
     */
    public static PrivateFile create(Path directory, String prefix, String suffix, OpenOption... more)
            throws IOException {
        Objects.requireNonNull(directory, "directory");
        Objects.requireNonNull(prefix, "prefix");
        Objects.requireNonNull(suffix, "suffix");
        Path path = directory.resolve(prefix + UUID.randomUUID() + suffix);
        Set<OpenOption> options = new HashSet<>(List.of(more));
        options.add(StandardOpenOption.CREATE_NEW);
        options.add(StandardOpenOption.WRITE);
        options.add(LinkOption.NOFOLLOW_LINKS);
        boolean posix = path.getFileSystem().supportedFileAttributeViews().contains("posix");
        FileAttribute<?>[] attributes = posix
                ? new FileAttribute<?>[] {
                    PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"))
                }
                : new FileAttribute<?>[0];
        return new PrivateFile(path, FileChannel.open(path, options, attributes));
    }

    /** Returns where it is. */
    public Path path() {
        return path;
    }

    /** Returns its open channel. */
    public FileChannel channel() {
        return channel;
    }
}
