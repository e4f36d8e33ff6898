// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.examples;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.iommu4j.it.Checkout;
import org.junit.jupiter.api.Test;

/** A vendor can be written in an afternoon only while the example can be read in one. */
class ExampleSizeTest {
    private static final int LIMIT = 1_000;

    @Test
    void driverAndSiliconTogetherHaveFewerThan1000Lines() throws IOException {
        long lines = 0;
        for (String module : List.of("iommu-minimal", "iommu-minimal-sim")) {
            long own = lines(Checkout.root().resolve("examples").resolve(module).resolve("src/main/java"));
            assertThat(own).as("lines of %s", module).isGreaterThan(100);
            lines += own;
        }
        assertThat(lines).as("lines of Java, comments and all").isLessThan(LIMIT);
    }

    private static long lines(Path folder) throws IOException {
        long lines = 0;
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file :
                    files.filter(path -> path.toString().endsWith(".java")).toList()) {
                lines += Files.readAllLines(file).size();
            }
        }
        return lines;
    }
}
