// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.iommu4j.witness.SharedData;
import org.junit.jupiter.api.Test;

/** The pages for readers name classes that exist. */
class PagesTest {
    /**
     * A class name in code quotes, alone or between the end of its package's name and its method: CamelCase with at
     * least one small letter.
     */
    private static final Pattern CLASS =
            Pattern.compile("`((?:[a-z0-9]+\\.)*)([A-Z][A-Za-z0-9]*[a-z][A-Za-z0-9]*)(?:\\.[a-z]\\w*)?`");

    private static final String SILICON = "hardware-sim/src/main/java/org/iommu4j/sim/";

    private final Path root = Checkout.root();

    private static int check(String text, Set<String> known, String line) {
        Matcher matcher = CLASS.matcher(text);
        int checked = 0;
        while (matcher.find()) {
            String name = "/" + matcher.group(1).replace('.', '/') + matcher.group(2) + ".java";
            assertThat(known)
                    .as("%s, the class in the line: %s", name.substring(1), line)
                    .anyMatch(file -> file.endsWith(name));
            checked++;
        }
        return checked;
    }

    @Test
    void everyClassOfTheVendorsPageExistsAtItsVendor() throws IOException {
        Set<String> intel = Checkout.sources("iommu-intel/src/main", "iommu-api/src/main", SILICON + "vtd");
        Set<String> amd = Checkout.sources("iommu-amd/src/main", "iommu-api/src/main", SILICON + "amdvi");
        Set<String> riscv = Checkout.sources("iommu-riscv/src/main", "iommu-api/src/main");
        int checked = 0;
        for (String line : Files.readAllLines(root.resolve("docs/vendors.md"))) {
            String[] cells = line.split("\\|", -1);
            for (int cell = 2; cell < Math.min(5, cells.length); cell++) {
                checked += check(cells[cell], cell == 2 ? intel : cell == 3 ? amd : riscv, line);
            }
        }
        assertThat(checked).as("classes named").isGreaterThan(60);
    }

    @Test
    void everyWitnessHasItsRow() throws IOException {
        List<String> rows = Files.readAllLines(root.resolve("docs/testing.md")).stream()
                .filter(line -> line.startsWith("| `shared/"))
                .map(line -> line.split("`", -1)[1])
                .toList();
        assertThat(rows)
                .containsExactly(
                        Stream.of(SharedData.values()).map(SharedData::place).toArray(String[]::new));
    }

    @Test
    void everyClassOfTheReadingGuideAndTheReadmeExists() throws IOException {
        Set<String> all = Checkout.sources(
                "iommu-api/src",
                "iommu-core/src",
                "iommu-intel/src",
                "iommu-amd/src",
                "iommu-riscv/src",
                "hardware-sim/src",
                "vfio-core/src");
        all.addAll(Checkout.sources(
                "kvm-x86/src",
                "host-audit/src",
                "explorer/src",
                "workbench/src",
                "integration-tests/src",
                "witnesses/src"));
        all.addAll(Checkout.sources("iommu-tck/src", "iommu-riscv-sim/src", "examples"));
        int checked = 0;
        for (String page : List.of(
                "docs/reading-guide.md",
                "docs/glossary.md",
                "docs/style.md",
                "CONTRIBUTING.md",
                "docs/testing.md",
                "docs/new-vendor.md",
                "README.md")) {
            for (String line : Files.readAllLines(root.resolve(page))) {
                checked += check(line, all, line);
            }
        }
        assertThat(checked).as("classes named").isGreaterThan(100);
    }
}
