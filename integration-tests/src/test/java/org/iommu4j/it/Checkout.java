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
        for (String path : sources(directories)) {
            names.add(path.substring(path.lastIndexOf('/') + 1, path.length() - JAVA.length()));
        }
        return names;
    }

    /** Returns the paths of all Java files below directories of the checkout, from its root on, slashes between. */
    public static Set<String> sources(String... directories) {
        Set<String> paths = new TreeSet<>();
        for (String directory : directories) {
            try (Stream<Path> files = Files.walk(root().resolve(directory))) {
                files.filter(file -> file.getFileName().toString().endsWith(JAVA))
                        .forEach(file -> paths.add("/" + root().relativize(file)));
            } catch (IOException e) {
                throw new UncheckedIOException("can't list the sources below " + directory, e);
            }
        }
        return paths;
    }
}
