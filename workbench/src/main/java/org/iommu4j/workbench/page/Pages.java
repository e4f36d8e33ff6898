// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.page;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.iommu4j.host.InputException;

/** The built-in pages, and those of a directory. */
public final class Pages {
    private static final String FOLDER = "/cases/";
    private static final String SUFFIX = ".yaml";

    private Pages() {}

    /** Returns the built-in pages, in the order of their names. */
    public static List<Page> builtIn() {
        List<Page> pages = new ArrayList<>();
        for (String name :
                new String(resource("index"), StandardCharsets.UTF_8).lines().toList()) {
            String file = name + SUFFIX;
            pages.add(PageReader.read(file, resource(file)));
        }
        return pages;
    }

    private static byte[] resource(String name) {
        try (InputStream stream = Pages.class.getResourceAsStream(FOLDER + name)) {
            if (stream == null) {
                throw new IllegalStateException("no resource " + FOLDER + name);
            }
            return stream.readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Returns whether a text names a file of a page, and not a case. */
    public static boolean isFile(String text) {
        return text.endsWith(SUFFIX) || text.endsWith(".yml") || text.indexOf('/') >= 0;
    }

    /**
     * Reads the pages of a directory, in the order of their files' names, not those of directories in it.
     *
     * @throws InputException when it can't be listed, has no page, has a wrong one, or has two of one name
     */
    public static List<Page> in(Path directory) {
        List<Path> files;
        try (Stream<Path> listed = Files.list(directory)) {
            files = listed.filter(file ->
                            file.toString().endsWith(SUFFIX) || file.toString().endsWith(".yml"))
                    .sorted()
                    .toList();
        } catch (IOException e) {
            throw new InputException(
                    directory + ": can't be listed (" + InputException.reason(e) + "), expected a directory of pages",
                    e);
        }
        if (files.isEmpty()) {
            throw new InputException(directory + ": no page there, expected files that end in " + SUFFIX);
        }
        Map<String, Path> names = new HashMap<>();
        List<Page> pages = new ArrayList<>();
        for (Path file : files) {
            Page page = PageReader.read(file);
            Path other = names.put(page.name(), file);
            if (other != null) {
                throw new InputException(file + ":1:1: case '" + page.name() + "' is in " + other + " already");
            }
            pages.add(page);
        }
        return pages;
    }
}
