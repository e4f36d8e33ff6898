// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.jar.Attributes;
import java.util.jar.JarFile;
import java.util.zip.GZIPInputStream;
import org.apache.commons.compress.archivers.ArchiveEntry;
import org.apache.commons.compress.archivers.ArchiveInputStream;
import org.apache.commons.compress.archivers.tar.TarArchiveInputStream;
import org.apache.commons.compress.archivers.zip.ZipArchiveEntry;
import org.apache.commons.compress.archivers.zip.ZipFile;
import org.iommu4j.LinuxRelease;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The distribution, unpacked where nothing else is, answers with no more than the modules of a JRE. Its launcher's exit
 * codes 0 and 1 are the command's answers, and 2 is one line.
 */
class DistributionIT {
    private static final String ARCHIVE = System.getProperty("iommu4j.distribution", "");

    /** What every JRE has, and no JDK's tools. */
    private static final String JRE = "--limit-modules java.se,jdk.unsupported";

    @TempDir
    private static Path folder;

    private static Path home = Path.of("");

    private final Map<String, String> environment =
            new TreeMap<>(Map.of("PATH", "/usr/bin:/bin", "JAVA_HOME", System.getProperty("java.home")));
    private String out = "";
    private String err = "";

    @BeforeAll
    static void unpacked() throws IOException {
        Path place = Files.createDirectory(folder.resolve("a place"));
        try (InputStream file = Files.newInputStream(Path.of(ARCHIVE + ".tar.gz"));
                ArchiveInputStream<?> tar = new TarArchiveInputStream(new GZIPInputStream(file))) {
            for (ArchiveEntry entry = tar.getNextEntry(); entry != null; entry = tar.getNextEntry()) {
                Path path = entry.resolveIn(place);
                if (!entry.isDirectory()) {
                    Files.createDirectories(path.getParent());
                    Files.copy(tar, path);
                }
            }
        }
        home = place.resolve(Path.of(ARCHIVE).getFileName());
        executable(home.resolve("bin/iommu4j"));
    }

    private static void executable(Path file) throws IOException {
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
    }

    private int launch(Path launcher, String... arguments) throws IOException, InterruptedException {
        Path output = folder.resolve("out");
        Path messages = folder.resolve("err");
        List<String> command = new ArrayList<>(List.of(launcher.toString()));
        command.addAll(List.of(arguments));
        ProcessBuilder builder = new ProcessBuilder(command)
                .directory(folder.toFile())
                .redirectOutput(output.toFile())
                .redirectError(messages.toFile());
        builder.environment().clear();
        builder.environment().putAll(environment);
        Process process = builder.start();
        try {
            assertThat(process.waitFor(120, TimeUnit.SECONDS)).as("ends").isTrue();
        } finally {
            process.destroyForcibly();
        }
        out = Files.readString(output);
        err = Files.readString(messages);
        return process.exitValue();
    }

    private int launch(String... arguments) throws IOException, InterruptedException {
        return launch(home.resolve("bin/iommu4j"), arguments);
    }

    @Test
    void aCaseRunsThroughALinkWithTheModulesOfAJre() throws IOException, InterruptedException {
        environment.put("IOMMU4J_JAVA_OPTS", JRE);
        Path links = Files.createDirectory(folder.resolve("links"));
        Path link = Files.createSymbolicLink(links.resolve("command"), links.relativize(home.resolve("bin/iommu4j")));

        assertThat(launch(link, "run", "guest-no-snoop")).as(err).isZero();

        assertThat(out)
                .startsWith("guest-no-snoop on intel-nosc (intel), Linux " + LinuxRelease.NEWEST + ": COHERENT\n");
        assertThat(err).isEmpty();
    }

    @Test
    void theGuidesInputIsAuditedWithTheModulesOfAJre() throws IOException, InterruptedException {
        environment.put("IOMMU4J_JAVA_OPTS", JRE);

        assertThat(launch("audit", home.resolve("docs/audit/dmesg.txt").toString()))
                .as(err)
                .isZero();

        assertThat(out).startsWith("dmesg.txt, Linux ");
        assertThat(err).isEmpty();
    }

    @Test
    void moreVendorsAreAddedByAnOptionAndAMissingJarIsNamed() throws IOException, InterruptedException {
        Path jar = folder.resolve("vendor");
        Path services = Files.createDirectories(jar.resolve("META-INF/services"));
        Files.writeString(services.resolve("org.iommu4j.spi.IommuVendor"), "org.example.Absent\n");

        assertThat(launch("--vendor-path", jar.toString(), "run", "guest-no-snoop"))
                .as("the vendor's class is looked for")
                .isEqualTo(2);
        assertThat(err).contains("org.example.Absent");
        assertThat(launch("--vendor-path", folder.resolve("none.jar").toString(), "cases"))
                .isEqualTo(2);
        assertThat(err)
                .startsWith("iommu4j: vendor path: ")
                .contains("none.jar is missing")
                .hasLineCount(1);
    }

    @Test
    void theVersionIsTheArchives() throws IOException, InterruptedException {
        assertThat(launch("--version")).as(err).isZero();

        assertThat(out.strip().replace(' ', '-')).isEqualTo(home.getFileName().toString());
    }

    @Test
    void aBadAnswerHasTheCommandsExitCode() throws IOException, InterruptedException {
        assertThat(launch("run", "guest-forgets-flush")).as(err).isEqualTo(Main.EXIT_BAD);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "echo 'java version \"1.8.0_392\"' >&2 | is Java 8, too old; install a Java 17 or newer",
                "echo 'openjdk version \"11.0.2\"' >&2 | is Java 11, too old; install a Java 17 or newer",
                "echo 'no memory' >&2; exit 1         | can't run the command: no memory",
                "exit 1                               | can't run the command: it says nothing",
            })
    void aJavaThatWontDoIsTroubleAndNoAnswer(String java, String message) throws IOException, InterruptedException {
        Path program = Files.createDirectories(folder.resolve("other/bin")).resolve("java");
        Files.writeString(program, "#!/bin/sh\n" + java + "\n");
        executable(program);
        environment.put("JAVA_HOME", folder.resolve("other").toString());

        assertThat(launch("--version")).isEqualTo(Main.EXIT_TROUBLE);

        assertThat(out).isEmpty();
        assertThat(err)
                .startsWith("iommu4j: " + program + " ")
                .contains(message)
                .hasLineCount(1);
    }

    @Test
    void withoutJavaOneLineSaysWhatIsMissing() throws IOException, InterruptedException {
        environment.remove("JAVA_HOME");
        Path tools = Files.createDirectory(folder.resolve("tools"));
        for (String tool : List.of("dirname", "readlink", "tr")) {
            Path program = tools.resolve(tool);
            Files.writeString(program, "#!/bin/sh\nexec /usr/bin/" + tool + " \"$@\"\n");
            executable(program);
        }
        environment.put("PATH", tools.toString());

        assertThat(launch("--version")).isEqualTo(Main.EXIT_TROUBLE);

        assertThat(err).isEqualTo("iommu4j: no java found; install a Java 17 or newer, or set JAVA_HOME\n");
    }

    @Test
    void itHasTheJarsThatTheCommandNamesAndNoOthers() throws IOException {
        TreeSet<String> jars = new TreeSet<>();
        try (var files = Files.list(home.resolve("lib"))) {
            files.forEach(file -> jars.add("lib/" + file.getFileName()));
        }
        try (JarFile command = new JarFile(home.resolve("iommu4j.jar").toFile())) {
            Attributes main = command.getManifest().getMainAttributes();
            assertThat(jars)
                    .containsExactlyInAnyOrder(main.getValue("Class-Path").split(" "));
        }
    }

    @Test
    void theZipIsTheSameAndItsLauncherCanBeRun() throws IOException {
        Map<String, Long> zipped = new TreeMap<>();
        try (ZipFile zip =
                ZipFile.builder().setFile(Path.of(ARCHIVE + ".zip").toFile()).get()) {
            for (ZipArchiveEntry entry : Collections.list(zip.getEntries())) {
                if (!entry.isDirectory()) {
                    zipped.put(entry.getName(), entry.getSize());
                }
                assertThat(entry.getUnixMode() & 0777)
                        .as(entry.getName())
                        .isEqualTo(entry.isDirectory() || entry.getName().endsWith("/bin/iommu4j") ? 0755 : 0644);
            }
        }
        Map<String, Long> unpacked = new TreeMap<>();
        try (var files = Files.walk(home)) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                unpacked.put(home.getParent().relativize(file).toString(), Files.size(file));
            }
        }
        assertThat(zipped).isEqualTo(unpacked);
    }
}
