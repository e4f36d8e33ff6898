// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Lines of sources, pages, scripts and POMs have at most 120 characters.
 *
 * <p>The formatter breaks code and leaves comments and long strings as they are. A line of Java that holds a URL may be
 * longer, and so may a row of a table or a line with a link in Markdown.
 */
class LineLengthTest {
    private static final int MOST = 120;

    /** What a build, git and editors put into the checkout, by name. */
    private static final Set<String> NOT_SOURCES =
            Set.of("target", ".flattened-pom.xml", "dependency-reduced-pom.xml", ".git", ".idea", ".vscode");

    @Test
    void noLineIsLongerThan120Characters() throws IOException {
        List<Path> files = files();
        List<String> tooLong = new ArrayList<>();
        for (Path file : files) {
            String name = Checkout.root().relativize(file).toString();
            List<String> lines = Files.readAllLines(file, StandardCharsets.UTF_8);
            for (int i = 0; i < lines.size(); i++) {
                if (isTooLong(name, lines.get(i))) {
                    tooLong.add(name + ":" + (i + 1));
                }
            }
        }

        assertThat(files).as("files read").hasSizeGreaterThan(500);
        assertThat(tooLong).as("lines of more than %d characters", MOST).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {"A.java", "pom.xml", "page.md", "run", "run.sh"})
    void aLongLineIsNoticedInEveryKindOfFile(String name) {
        assertThat(isTooLong(name, "x".repeat(MOST))).isFalse();
        assertThat(isTooLong(name, "x".repeat(MOST) + " ")).isTrue();
    }

    @Test
    void charactersAreCountedAndNotBytesOrSurrogates() {
        assertThat(isTooLong("A.java", "\u00e9\ud83d\ude00".repeat(MOST / 2))).isFalse();
    }

    @Test
    void onlyUrlsLinksAndTablesMayBeLonger() {
        String more = " " + "x".repeat(MOST);

        assertThat(isTooLong("A.java", " * See https://example.org" + more)).isFalse();
        assertThat(isTooLong("A.java", " * [a page](page.md)" + more)).isTrue();
        assertThat(isTooLong("page.md", "[a page](page.md)" + more)).isFalse();
        assertThat(isTooLong("page.md", "| a | b |" + more)).isFalse();
        assertThat(isTooLong("page.md", "a | b" + more)).isTrue();
        assertThat(isTooLong("run", "# https://example.org" + more)).isTrue();
    }

    private static boolean isTooLong(String name, String line) {
        return line.codePointCount(0, line.length()) > MOST && !mayBeLong(name, line);
    }

    private static boolean mayBeLong(String name, String line) {
        if (name.endsWith(".java")) {
            return line.contains("://");
        }
        return name.endsWith(".md")
                && (line.stripLeading().startsWith("|") || line.contains("](") || line.contains("://"));
    }

    private static List<Path> files() throws IOException {
        List<Path> files = new ArrayList<>();
        Files.walkFileTree(Checkout.root(), new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult preVisitDirectory(Path directory, BasicFileAttributes attributes) {
                return isSource(directory) ? FileVisitResult.CONTINUE : FileVisitResult.SKIP_SUBTREE;
            }

            @Override
            public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) throws IOException {
                if (attributes.isRegularFile() && isSource(file) && isRead(file)) {
                    files.add(file);
                }
                return FileVisitResult.CONTINUE;
            }
        });
        return files;
    }

    private static boolean isSource(Path path) {
        return !NOT_SOURCES.contains(path.getFileName().toString());
    }

    private static boolean isRead(Path file) throws IOException {
        String name = file.getFileName().toString();
        int dot = name.lastIndexOf('.');
        return dot < 0 ? isScript(file) : Set.of(".java", ".md", ".xml", ".sh").contains(name.substring(dot));
    }

    private static boolean isScript(Path file) throws IOException {
        try (InputStream in = Files.newInputStream(file)) {
            return new String(in.readNBytes(2), StandardCharsets.ISO_8859_1).equals("#!");
        }
    }
}
