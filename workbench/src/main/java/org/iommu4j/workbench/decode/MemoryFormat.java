// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.decode;

import java.nio.file.Path;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Pattern;

/** How a file holds memory. */
public enum MemoryFormat {
    /** Single pages: 8 bytes of physical address, little-endian, then 4096 bytes of contents, again and again. */
    PAGES(Pattern.compile(".*\\.(bin|pages)")),
    /** All of it, from physical address 0. */
    RAW(Pattern.compile(".*\\.(raw|img|dump|mem)"));

    /** At the end of a name: the file is compressed by zstd. */
    static final String COMPRESSED = ".zst";

    private final Pattern name;

    MemoryFormat(Pattern name) {
        this.name = name;
    }

    /** Guesses a file's format by its name, whether compressed or not. */
    static Optional<MemoryFormat> ofName(Path file) {
        String name = String.valueOf(file.getFileName()).toLowerCase(Locale.ROOT);
        String plain = isCompressed(file) ? name.substring(0, name.length() - COMPRESSED.length()) : name;
        for (MemoryFormat format : values()) {
            if (format.name.matcher(plain).matches()) {
                return Optional.of(format);
            }
        }
        return Optional.empty();
    }

    /** Returns whether a file's name is that of a compressed file. */
    static boolean isCompressed(Path file) {
        return String.valueOf(file.getFileName()).toLowerCase(Locale.ROOT).endsWith(COMPRESSED);
    }

    /** Returns the name as the command takes it. */
    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
