// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The page that lays the vendors side by side names classes that exist. */
class AmdVendorsPageTest {
    /** A class name in code quotes: CamelCase with at least one small letter. */
    private static final Pattern CLASS = Pattern.compile("`([A-Z][A-Za-z0-9]*[a-z][A-Za-z0-9]*)`");

    private static Path root() {
        Path at = Path.of("").toAbsolutePath();
        while (!Files.exists(at.resolve("docs/vendors.md"))) {
            at = at.getParent();
            assertThat(at).as("a directory above with docs/vendors.md").isNotNull();
        }
        return at;
    }

    private static Set<String> classes(Path... modules) throws IOException {
        Set<String> names = new TreeSet<>();
        for (Path module : modules) {
            try (Stream<Path> files = Files.walk(module.resolve("src/main/java"))) {
                names.addAll(files.map(file -> file.getFileName().toString())
                        .filter(name -> name.endsWith(".java"))
                        .map(name -> name.substring(0, name.length() - 5))
                        .collect(Collectors.toSet()));
            }
        }
        return names;
    }

    @Test
    void everyClassOfTheVendorsPageExists() throws IOException {
        Path root = root();
        Set<String> intel = classes(root.resolve("iommu-intel"), root.resolve("iommu-api"));
        Set<String> amd = classes(root.resolve("iommu-amd"), root.resolve("iommu-api"));
        int checked = 0;
        for (String line : Files.readAllLines(root.resolve("docs/vendors.md"))) {
            String[] cells = line.split("\\|", -1);
            for (int cell = 2; cell < Math.min(4, cells.length); cell++) {
                Matcher matcher = CLASS.matcher(cells[cell]);
                while (matcher.find()) {
                    assertThat(cell == 2 ? intel : amd)
                            .as("the class in the line: %s", line)
                            .contains(matcher.group(1));
                    checked++;
                }
            }
        }
        assertThat(checked).as("classes named").isGreaterThan(60);
    }
}
