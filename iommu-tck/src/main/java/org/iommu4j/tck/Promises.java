// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.platform.commons.support.AnnotationSupport;

/** The sentences of all promises by their ids, as the Javadoc has them. */
public final class Promises {
    private static final Map<String, String> SENTENCES = read("promises.tsv");
    private static final Map<String, String> UNCHECKED = read("unchecked.tsv");

    private Promises() {}

    /** Returns all ids with their sentences, in the order of {@code docs/contracts.md}. */
    public static Map<String, String> all() {
        return SENTENCES;
    }

    /**
     * Returns the sentence of a promise.
     *
     * @throws IllegalArgumentException when there is no such promise
     */
    public static String sentence(String id) {
        String sentence = SENTENCES.get(id);
        if (sentence == null) {
            throw new IllegalArgumentException("no promise '" + id + "' in the contract");
        }
        return sentence;
    }

    /** Returns why the kit does not check a promise, empty when it does. */
    public static Optional<String> whyUnchecked(String id) {
        return Optional.ofNullable(UNCHECKED.get(id));
    }

    /** Returns the ids of the promises that a test checks. */
    static List<String> of(Method test) {
        return AnnotationSupport.findAnnotation(test, Promise.class)
                .map(promise -> List.of(promise.value()))
                .orElse(List.of());
    }

    private static Map<String, String> read(String resource) {
        Map<String, String> rows = new LinkedHashMap<>();
        try (InputStream in = Promises.class.getResourceAsStream(resource)) {
            if (in == null) {
                throw new IllegalStateException("the kit's jar has no " + resource);
            }
            BufferedReader lines = new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8));
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                int tab = line.indexOf('\t');
                if (tab > 0) {
                    rows.put(line.substring(0, tab), line.substring(tab + 1));
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return Collections.unmodifiableMap(rows);
    }
}
