// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.contract;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.iommu4j.it.Checkout;
import org.junit.jupiter.api.Test;

/** Every promise that a vendor must keep has an id, and the page that lists them is as the Javadoc. */
class PromisesTest {
    private static final List<String> SOURCES =
            List.of("iommu-api/src/main/java", "hardware-sim/src/main/java/org/iommu4j/sim/spi");

    /** The interfaces that a vendor implements, or a platform for it. */
    private static final Set<String> CONTRACTS = Set.of(
            "Iommu",
            "IommuDevice",
            "IommuDomain",
            "CacheCoherencyEnforcement",
            "DirtyTracking",
            "GuestInvalidation",
            "Nesting",
            "PageRequests",
            "PasidAttachment",
            "IommuVendor",
            "KernelLog",
            "SystemMemory",
            "FrameAllocator",
            "RegisterSpace",
            "RegisterWindow",
            "Waiter",
            "FirmwareTables",
            "ProcessMemory",
            "ConfigSpace",
            "TranslationUnit",
            "TranslationUnitProvider",
            "TableReader",
            "Fabric");

    private static final String PREFACE = """
            # What a vendor promises

            Each sentence below is one of the Javadoc of `iommu-api` or of the silicon's SPI, with the id that stands
            behind it. An id is stable: it keeps its meaning, a new promise gets a new number, and the number of a
            promise that is dropped is not used again. This page is written from the Javadoc by `PromisesTest`, and is
            not to be edited.
            """;

    @Test
    void thePageOfPromisesIsWrittenFromTheJavadoc() throws IOException {
        Path page = Checkout.root().resolve("docs/contracts.md");
        String expected = page(promises());
        if (Boolean.getBoolean("iommu4j.contracts.write")) {
            Files.writeString(page, expected);
        }
        assertThat(page)
                .as("-Diommu4j.contracts.write=true writes it anew")
                .exists()
                .hasContent(expected);
    }

    /** The kit quotes promises where there are no sources. */
    @Test
    void theKitsSentencesAreWrittenFromTheJavadoc() throws IOException {
        Path resource = Checkout.root().resolve("iommu-tck/src/main/resources/org/iommu4j/tck/promises.tsv");
        StringBuilder expected = new StringBuilder();
        for (Promise promise : promises()) {
            expected.append(promise.id())
                    .append('\t')
                    .append(promise.sentence())
                    .append('\n');
        }
        if (Boolean.getBoolean("iommu4j.contracts.write")) {
            Files.writeString(resource, expected);
        }
        assertThat(resource)
                .as("-Diommu4j.contracts.write=true writes it anew")
                .exists()
                .hasContent(expected.toString());
    }

    @Test
    void anIdStandsForOnePromise() throws IOException {
        List<String> ids = promises().stream().map(Promise::id).toList();
        assertThat(ids).doesNotHaveDuplicates().hasSizeGreaterThan(90);
    }

    @Test
    void everyMethodThatAVendorImplementsPromisesSomething() throws IOException {
        Set<String> promising = promises().stream()
                .map(promise -> promise.type() + "." + promise.member())
                .collect(Collectors.toSet());
        Set<String> silent = new TreeSet<>();
        Set<String> seen = new TreeSet<>();
        for (String directory : SOURCES) {
            for (Promise.Place place : Promise.places(Checkout.root().resolve(directory))) {
                String name = place.type() + "." + place.member();
                if (CONTRACTS.contains(place.type()) && isMethod(place)) {
                    seen.add(place.type());
                    if (!promising.contains(name)) {
                        silent.add(name);
                    }
                }
            }
        }
        assertThat(seen).isEqualTo(new TreeSet<>(CONTRACTS));
        assertThat(silent).isEmpty();
    }

    @Test
    void aPromiseIsTheSentenceBeforeItsId() {
        assertThat(Promise.of(new Promise.Place("T", "m", """
                        Does it, {@code for} good [do-it-1]. Says nothing more about {@link Other#more(int) more}. Never
                        allocates [do-it-2].

                        <p>Two more: <ul>
                          <li>one [do-it-3]
                        </ul>
                        @param count how many pages, at least 1 [do-it-4]
                        @return bytes [do-it-5]
                        @throws org.iommu4j.IommuException EINVAL (misaligned) [do-it-6], ERANGE (too wide) [do-it-7].
                            Nothing has changed: {@link org.iommu4j.Other#more} is empty [do-it-9]
                        @throws IllegalArgumentException when the name is {@link String empty} [do-it-8]
                        """)))
                .extracting(Promise::id, Promise::sentence)
                .containsExactly(
                        tuple("do-it-1", "Does it, for good."),
                        tuple("do-it-2", "Never allocates."),
                        tuple("do-it-3", "one."),
                        tuple("do-it-4", "count: how many pages, at least 1."),
                        tuple("do-it-5", "Returns bytes."),
                        tuple("do-it-6", "Throws EINVAL (misaligned)."),
                        tuple("do-it-7", "Throws ERANGE (too wide)."),
                        tuple("do-it-9", "Nothing has changed: Other.more is empty."),
                        tuple("do-it-8", "Throws IllegalArgumentException when the name is empty."));
    }

    private static boolean isMethod(Promise.Place place) {
        return !place.member().isEmpty() && !place.member().matches("[A-Z][A-Z0-9_]*");
    }

    private static List<Promise> promises() throws IOException {
        List<Promise> all = new ArrayList<>();
        for (String directory : SOURCES) {
            all.addAll(Promise.of(Checkout.root().resolve(directory)));
        }
        return all;
    }

    private static String page(List<Promise> promises) {
        Map<String, List<Promise>> byType = new LinkedHashMap<>();
        for (Promise promise : promises) {
            byType.computeIfAbsent(promise.type(), type -> new ArrayList<>()).add(promise);
        }
        StringBuilder page = new StringBuilder(PREFACE);
        byType.forEach((type, own) -> {
            page.append("\n## ").append(type).append("\n\n| id | method | promise |\n|---|---|---|\n");
            for (Promise promise : own) {
                page.append("| ")
                        .append(promise.id())
                        .append(" | ")
                        .append(promise.member().isEmpty() ? "" : "`" + promise.member() + "`")
                        .append(" | ")
                        .append(promise.sentence().replace("|", "\\|"))
                        .append(" |\n");
            }
        });
        return page.toString();
    }
}
