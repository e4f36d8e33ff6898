// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.host;

import java.nio.file.Path;

/** Data of real hosts that is not part of the project; tests that need it skip when it is absent. */
final class Shared {
    private Shared() {}

    static Path file(String name) {
        return Path.of(System.getProperty("iommu4j.shared", "../shared")).resolve(name);
    }
}
