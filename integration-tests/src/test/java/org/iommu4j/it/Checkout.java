// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;

/** The directory that the build stands in: sources, pages and what was built. */
public final class Checkout {
    private static final String JAVA = ".java";

    private Checkout() {}

    /**
     * Returns the top directory, from wherever in it the tests run.
     *
     * @throws IllegalStateException when they run elsewhere
     */
    public static Path root() {
        Path start = Path.of("").toAbsolutePath();
        for (Path at = start; at != null; at = at.getParent()) {
            if (Files.exists(at.resolve("iommu-api/pom.xml"))) {
                return at;
            }
        }
        throw new IllegalStateException("no directory above " + start + " has iommu-api/pom.xml");
    }

    /** Returns the simple names of the classes whose sources are below directories, each named from the top. */
    public static Set<String> classes(String... directories) {
        Set<String> names = new TreeSet<>();
        for (String directory : directories) {
            try (Stream<Path> files = Files.walk(root().resolve(directory))) {
                files.map(file -> file.getFileName().toString())
                        .filter(name -> name.endsWith(JAVA))
                        .forEach(name -> names.add(name.substring(0, name.length() - JAVA.length())));
            } catch (IOException e) {
                throw new UncheckedIOException("can't list the sources below " + directory, e);
            }
        }
        return names;
    }
}
