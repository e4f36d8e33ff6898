// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.host;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;

/** The files of a host by their path from its root, without a leading slash; links are followed. */
public interface HostFiles {
    /** Returns where they come from, for messages. */
    String source();

    /** Returns a file's contents; empty when it is absent, no regular file, or may not be read. */
    Optional<byte[]> bytes(String path);

    /** Returns the names in a directory, sorted; none when it is absent. */
    List<String> list(String path);

    /** Returns whether there is a directory of this path. */
    boolean isDirectory(String path);

    /** Returns the path that a path really names, after all links; empty when it leads nowhere. */
    Optional<String> resolve(String path);

    /** Returns a file's text without surrounding white space. */
    default Optional<String> text(String path) {
        return bytes(path).map(bytes -> new String(bytes, StandardCharsets.UTF_8).strip());
    }
}
