// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.apache.commons.compress.archivers.tar.TarConstants;

/** Makes tars of directories. */
final class Tars {
    private Tars() {}

    /** Writes a tar of all that is below a directory, links as such. */
    static Path write(Path tar, Path directory) throws IOException {
        List<Path> all;
        try (Stream<Path> walk = Files.walk(directory)) {
            all = walk.filter(path -> !path.equals(directory)).sorted().toList();
        }
        try (OutputStream out = Files.newOutputStream(tar);
                TarArchiveOutputStream archive = new TarArchiveOutputStream(out)) {
            for (Path path : all) {
                String name = directory.relativize(path).toString();
                if (Files.isSymbolicLink(path)) {
                    TarArchiveEntry link = new TarArchiveEntry(name, TarConstants.LF_SYMLINK);
                    link.setLinkName(Files.readSymbolicLink(path).toString());
                    archive.putArchiveEntry(link);
                } else if (Files.isDirectory(path)) {
                    archive.putArchiveEntry(new TarArchiveEntry(name + "/"));
                } else {
                    TarArchiveEntry file = new TarArchiveEntry(name);
                    file.setSize(Files.size(path));
                    archive.putArchiveEntry(file);
                    archive.write(Files.readAllBytes(path));
                }
                archive.closeArchiveEntry();
            }
        }
        return tar;
    }
}
