// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.StringWriter;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import javax.tools.JavaCompiler;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What README says of Java is so. */
class ReadmeTest {
    private static final String IMPORTS = """
            import org.iommu4j.*;
            import org.iommu4j.pci.*;
            import org.iommu4j.platform.*;
            import org.iommu4j.sim.machine.*;
            import org.iommu4j.sim.pcie.*;
            import org.iommu4j.spi.*;
            """;

    private static List<String> section(String title) throws IOException {
        return Files.readAllLines(Checkout.root().resolve("README.md")).stream()
                .dropWhile(line -> !line.equals("## " + title))
                .skip(1)
                .takeWhile(line -> !line.startsWith("## "))
                .toList();
    }

    @Test
    void theDmaIn20LinesCompilesAndPrintsWhatItsCommentsSay(@TempDir Path folder) throws Exception {
        List<String> code = section("A DMA in 20 lines").stream()
                .filter(line -> line.startsWith("    "))
                .toList();
        assertThat(code).hasSizeBetween(15, 20);
        Path source = Files.writeString(
                folder.resolve("Readme.java"),
                IMPORTS + "public class Readme { public static void main(String[] args) {\n" + String.join("\n", code)
                        + "\n}}");
        compile(source, folder);

        List<String> printed = run(folder);

        assertThat(printed).hasSize(2);
        assertThat(printed.get(0)).isEqualTo(comment(code, "read("));
        assertThat(printed.get(1)).startsWith(comment(code, "takeFaults").replace(", ...", ""));
    }

    private static String comment(List<String> code, String call) {
        String line =
                code.stream().filter(text -> text.contains(call)).findFirst().orElseThrow();
        return line.substring(line.indexOf("// ") + 3);
    }

    private static void compile(Path source, Path folder) throws IOException {
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        StringWriter messages = new StringWriter();
        try (StandardJavaFileManager files = compiler.getStandardFileManager(null, null, StandardCharsets.UTF_8)) {
            List<String> options =
                    List.of("-proc:none", "-d", folder.toString(), "-cp", System.getProperty("java.class.path"));
            boolean done = compiler.getTask(messages, files, null, options, null, files.getJavaFileObjects(source))
                    .call();
            assertThat(done).as(messages.toString()).isTrue();
        }
    }

    private static List<String> run(Path folder) throws Exception {
        PrintStream before = System.out;
        ByteArrayOutputStream printed = new ByteArrayOutputStream();
        try (URLClassLoader loader =
                new URLClassLoader(new URL[] {folder.toUri().toURL()})) {
            System.setOut(new PrintStream(printed, true, StandardCharsets.UTF_8));
            loader.loadClass("Readme").getMethod("main", String[].class).invoke(null, (Object) new String[0]);
        } finally {
            System.setOut(before);
        }
        return printed.toString(StandardCharsets.UTF_8).lines().toList();
    }

    @Test
    void theTableOfModulesNamesArtifactsModulesAndClassesThatExist() throws IOException {
        List<String> rows = section("The house").stream()
                .filter(line -> line.startsWith("| ") && line.contains("`"))
                .toList();
        List<String> artifacts = new ArrayList<>();
        for (String row : rows) {
            List<String> cells = List.of(row.split("\\|", -1));
            List<String> modules = quoted(cells.get(3));
            List<String> named = quoted(cells.get(2));
            assertThat(modules).as(row).hasSameSizeAs(named);
            for (int i = 0; i < named.size(); i++) {
                artifacts.add(named.get(i));
                Path main = Checkout.root().resolve(named.get(i)).resolve("src/main/java");
                assertThat(Files.readString(main.resolve("module-info.java")))
                        .as(row)
                        .contains("module " + modules.get(i) + " {");
            }
            for (String name : quoted(cells.get(4))) {
                assertThat(Checkout.sources("")).anyMatch(file -> file.endsWith("/" + name + ".java"));
            }
        }
        assertThat(artifacts).containsExactlyInAnyOrderElementsOf(libraries());
    }

    private static List<String> quoted(String cell) {
        return Stream.of(cell.split("`", -1))
                .filter(text -> text.matches("[A-Za-z0-9.-]+"))
                .toList();
    }

    private static List<String> libraries() throws IOException {
        try {
            return PomsTest.libraries();
        } catch (Exception e) {
            throw new IOException("can't read the poms", e);
        }
    }
}
