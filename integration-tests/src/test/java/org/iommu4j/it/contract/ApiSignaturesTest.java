// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.contract;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.iommu4j.Iommu;
import org.iommu4j.audit.Auditor;
import org.iommu4j.it.Checkout;
import org.iommu4j.sim.machine.Machine;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The signatures that others compile against change only together with the page that lists them. */
public class ApiSignaturesTest {
    private static final Pattern ROW =
            Pattern.compile("\\| [a-z0-9-]+ \\| `([a-z0-9.]+)` \\| (?:API|SPI|API, SPI|internal) \\| .+ \\|");

    /** A public type of each kind of member, for the listing's own form. */
    @SuppressWarnings("unused") // listed by reflection
    public abstract static class Sample<T extends Number> implements Iterable<T> {
        protected static final int LIMIT = 3;

        protected Sample(T first, String... others) {}

        abstract <E extends Enum<E>> void hidden(E value);

        public static List<? super Integer> numbers(int[] values, Class<?> type) {
            return List.of(values.length, type.getSimpleName().length());
        }
    }

    @ParameterizedTest
    @CsvSource({
        "iommu-api, org.iommu4j.Iommu",
        "hardware-sim, org.iommu4j.sim.machine.Machine",
        "host-audit, org.iommu4j.audit.Auditor",
        "explorer, org.iommu4j.explorer.Exploration"
    })
    void theSignaturesAreThoseOfThePage(String module, Class<?> anchor) throws IOException {
        Path page = Checkout.root().resolve("docs/api/" + module + ".txt");
        String listed = String.join("\n", ApiSignatures.of(anchor)) + "\n";
        if (Boolean.getBoolean("iommu4j.api.write")) {
            Files.writeString(page, listed);
        }
        assertThat(page)
                .as("-Diommu4j.api.write=true writes it anew; docs/compatibility.md says which changes are allowed")
                .exists()
                .hasContent(listed);
    }

    @Test
    void aListingHasWhatACallerOrASubclassCanName() {
        assertThat(ApiSignatures.of(List.of(Sample.class)))
                .containsExactly(
                        "",
                        "abstract class ApiSignaturesTest.Sample<T extends Number> implements Iterable<T>",
                        "    protected static final int LIMIT",
                        "    protected Sample(T, String...)",
                        "    static List<? super Integer> numbers(int[], Class<?>)");
    }

    @Test
    void everyExportedPackageHasItsRow() throws IOException {
        Set<String> rows = new TreeSet<>();
        for (String line : Files.readAllLines(Checkout.root().resolve("docs/compatibility.md"))) {
            Matcher row = ROW.matcher(line);
            if (row.matches()) {
                assertThat(rows.add(row.group(1)))
                        .as("second row of " + row.group(1))
                        .isTrue();
            }
        }
        Set<String> exported = new TreeSet<>(PublicApi.PACKAGES);
        exported.add("org.iommu4j.sim.guice");
        exported.add("org.iommu4j.tck");
        assertThat(rows).isEqualTo(exported);
    }

    @Test
    void noListIsShort() throws IOException {
        for (Class<?> anchor : List.of(Iommu.class, Machine.class, Auditor.class)) {
            assertThat(ApiSignatures.of(anchor))
                    .as("signatures beside %s", anchor)
                    .hasSizeGreaterThan(200);
        }
    }
}
