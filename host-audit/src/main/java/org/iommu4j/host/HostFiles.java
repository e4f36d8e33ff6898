// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.util.List;
import java.util.Optional;

/** The files of a host by their path from its root, without a leading slash; links are followed. */
public interface HostFiles {
    /** Returns where they come from, for messages. */
    String source();

    /** Bytes of one file. */
    int MAX_FILE_BYTES = 16 << 20;

    /** Bytes of a file of sysfs that is text: Linux gives it a page. */
    int PAGE_BYTES = 4096;

    /** Bytes of a kernel's command line; with a boot configuration it is longer than a page. */
    int MAX_COMMAND_LINE = 64 << 10;

    /** Returns a file's contents; empty when it is absent, no regular file, longer than a limit, or may not be read. */
    Optional<byte[]> bytes(String path, int max);

    /** Returns the names in a directory, sorted; none when it is absent. */
    List<String> list(String path);

    /** Returns whether there is a directory of this path. */
    boolean isDirectory(String path);

    /** Returns the path that a path really names, after all links; empty when it leads nowhere. */
    Optional<String> resolve(String path);

    /** Returns the contents of a file of at most {@value #MAX_FILE_BYTES} bytes. */
    default Optional<byte[]> bytes(String path) {
        return bytes(path, MAX_FILE_BYTES);
    }

    /** Returns the text of a file of at most a page, without surrounding white space. */
    default Optional<String> text(String path) {
        return text(path, PAGE_BYTES);
    }

    /** Returns the text of a file of at most so many bytes, without surrounding white space. */
    default Optional<String> text(String path, int max) {
        return bytes(path, max).map(TextLines::text);
    }

    /** Returns the log that the running kernel still has in memory, as {@code dmesg} prints it; empty elsewhere. */
    default Optional<byte[]> kernelRing() {
        return Optional.empty();
    }

    /** Returns the kernel's command line. */
    default Optional<String> commandLine() {
        return text("proc/cmdline", MAX_COMMAND_LINE);
    }
}
