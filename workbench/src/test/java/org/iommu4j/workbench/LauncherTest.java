// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.jar.JarOutputStream;
import java.util.zip.ZipEntry;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The launcher {@code ./iommu4j}, a copy of it in a checkout of nothing but names, with a {@code java} and a
 * {@code mvn} that do what a test wants: its exit codes 0 and 1 are the command's answers, and 2 is one line.
 */
class LauncherTest {
    private static final String JAVA = """
            #!/bin/sh
            case "$*" in
            -version) echo 'openjdk version "17.0.1" 2021-10-19' >&2; exit 0 ;;
            *-XX:ArchiveClassesAtExit=*)
                for o; do case $o in *ArchiveClassesAtExit=*) : >"${o#*=}" ;; esac; done
                exit 0 ;;
            *--version) exit 0 ;;
            esac
            echo "$@"
            exit 1
            """;

    private static final String MVN = """
            #!/bin/sh
            mkdir -p workbench/target/lib && echo built >workbench/target/iommu4j.jar
            """;

    private static final String VENDOR_PATH = "workbench/src/dist/bin/vendor-path.sh";

    private static final Instant PAST = Instant.parse("2024-01-01T00:00:00Z");

    /** What Linux gives a user without rights. */
    private static final int NOBODY = 65_534;

    private final Map<String, String> environment = new TreeMap<>();
    private final StringBuilder out = new StringBuilder();
    private final StringBuilder err = new StringBuilder();

    @TempDir
    private Path folder;

    private Path root = Path.of("");
    private Path target = Path.of("");

    @BeforeEach
    void aCheckout() throws IOException {
        Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwxr-xr-x"));
        root = Files.createDirectory(folder.resolve("a checkout"));
        target = root.resolve("workbench/target");
        Path launcher = root.resolve("iommu4j");
        Files.copy(Path.of("..", "iommu4j"), launcher);
        executable(launcher);
        Path vendorPath = Files.createDirectories(root.resolve(VENDOR_PATH).getParent());
        Files.copy(Path.of("..", VENDOR_PATH), vendorPath.resolve("vendor-path.sh"));
        source("pom.xml");
        source("workbench/pom.xml");
        source("workbench/src/main/java/A.java");
        program("java", JAVA);
        program("mvn", MVN);
        environment.put("PATH", folder.resolve("bin") + ":/usr/bin:/bin");
        environment.put("LC_ALL", "C.UTF-8");
    }

    private void source(String path) throws IOException {
        Path file = root.resolve(path);
        Files.createDirectories(file.getParent());
        Files.writeString(file, "");
        Files.setLastModifiedTime(file, FileTime.from(PAST));
    }

    private void program(String name, String text) throws IOException {
        Path file = Files.createDirectories(folder.resolve("bin")).resolve(name);
        Files.writeString(file, text);
        executable(file);
    }

    private static void executable(Path file) throws IOException {
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
    }

    private int shell(List<String> prefix, String script, String... arguments)
            throws IOException, InterruptedException {
        Path output = folder.resolve("out");
        Path messages = folder.resolve("err");
        List<String> command = new ArrayList<>(prefix);
        command.addAll(List.of("/bin/sh", "-c", script, root.resolve("iommu4j").toString()));
        command.addAll(List.of(arguments));
        ProcessBuilder builder =
                new ProcessBuilder(command).redirectOutput(output.toFile()).redirectError(messages.toFile());
        builder.environment().clear();
        builder.environment().putAll(environment);
        Process process = builder.start();
        try {
            assertThat(process.waitFor(120, TimeUnit.SECONDS)).as("ends").isTrue();
        } finally {
            process.destroyForcibly();
        }
        out.setLength(0);
        out.append(Files.readString(output));
        err.setLength(0);
        err.append(Files.readString(messages));
        return process.exitValue();
    }

    private int launch(String... arguments) throws IOException, InterruptedException {
        return shell(List.of(), "exec \"$0\" \"$@\"", arguments);
    }

    private boolean isRoot() throws IOException {
        return Files.getAttribute(folder, "unix:uid").equals(0);
    }

    /** Launches as a user who may read the checkout and write nothing in it; only root can become another one. */
    private int launchAsAnother(String... arguments) throws IOException, InterruptedException {
        assumeTrue(isRoot(), "only root can become another user");
        String user = Integer.toString(NOBODY);
        return shell(
                List.of("setpriv", "--reuid=" + user, "--regid=" + user, "--clear-groups"),
                "exec \"$0\" \"$@\"",
                arguments);
    }

    private void built() throws IOException, InterruptedException {
        assertThat(launch("x")).as(err.toString()).isEqualTo(1);
        assertThat(err.toString()).hasLineCount(1).contains("building");
    }

    private void assertOneLine(String... parts) {
        assertThat(out.toString()).isEmpty();
        assertThat(err.toString()).hasLineCount(1).startsWith("iommu4j: ").contains(parts);
    }

    @Test
    void itBuildsOnceAndThenRunsTheJarWithTheArchive() throws IOException, InterruptedException {
        assertThat(launch("run", "a b", "*")).isEqualTo(1);
        assertThat(err.toString()).hasLineCount(1).contains("building");
        assertThat(out.toString())
                .contains("-XX:SharedArchiveFile=" + target.resolve("iommu4j.jsa"))
                .endsWith("-jar " + target.resolve("iommu4j.jar") + " run a b *\n");
        program("mvn", "#!/bin/sh\nexit 1\n");
        assertThat(launch("again")).isEqualTo(1);
        assertThat(err.toString()).isEmpty();
    }

    @Test
    void theCommandWarnsOfNoMethodThatNewerJavasTakeAway() throws IOException, InterruptedException {
        built();
        assertThat(launch("run")).isEqualTo(1);
        assertThat(out.toString())
                .as("Guice's classes made by sun.misc.Unsafe")
                .contains(" -Dguice_bytecode_gen_option=DISABLED ");
    }

    private Path vendorJar(String name, String service) throws IOException {
        Path jar = folder.resolve(name);
        try (JarOutputStream out = new JarOutputStream(Files.newOutputStream(jar))) {
            out.putNextEntry(new ZipEntry("META-INF/services/" + service));
            out.write("com.example.Foo\n".getBytes(StandardCharsets.UTF_8));
        }
        return jar;
    }

    @Test
    void vendorsOfAPathAreOnTheClassPath() throws IOException, InterruptedException {
        built();
        Path driver = vendorJar("a driver.jar", "org.iommu4j.spi.IommuVendor");
        Path silicon = vendorJar("silicon.jar", "org.iommu4j.sim.spi.TranslationUnitProvider");
        String path = driver + ":" + silicon;
        String expected = "-XX:SharedArchiveFile=" + target.resolve("iommu4j.jsa")
                + " --enable-native-access=ALL-UNNAMED -cp " + target.resolve("iommu4j.jar") + ":" + path
                + " org.iommu4j.workbench.Main cases -h\n";

        assertThat(launch("--vendor-path", path, "cases", "-h")).isEqualTo(1);
        assertThat(out.toString()).endsWith(expected);
        assertThat(launch("--vendor-path=" + path, "cases", "-h")).isEqualTo(1);
        assertThat(out.toString()).endsWith(expected);
        environment.put("IOMMU4J_VENDOR_PATH", path);
        assertThat(launch("cases", "-h")).isEqualTo(1);
        assertThat(out.toString()).endsWith(expected);
        assertThat(launch("--vendor-path", driver.toString(), "cases")).isEqualTo(1);
        assertThat(out.toString()).as("the option takes precedence").contains(":" + driver + " org");
        assertThat(err.toString()).isEmpty();
    }

    @Test
    void anEngineHasItsJarsOnTheClassPathAndItsOptionsOfJava() throws IOException, InterruptedException {
        built();
        Path driver = vendorJar("driver.jar", "org.iommu4j.spi.IommuVendor");
        Path engine = Files.createDirectories(folder.resolve("an engine"));
        Files.createDirectory(engine.resolve("jars"));
        Files.writeString(engine.resolve("java-options"), "-Dengine=here\n");
        String jar = target.resolve("iommu4j.jar").toString();

        assertThat(launch("--engine-path", engine.toString(), "explore", "x")).isEqualTo(1);
        assertThat(out.toString())
                .endsWith(" -cp " + jar + ":" + engine + "/jars/* org.iommu4j.workbench.Main explore x\n")
                .contains(" @" + engine + "/java-options ");
        assertThat(launch("--engine-path=" + engine, "--vendor-path", driver.toString(), "explore", "x"))
                .isEqualTo(1);
        assertThat(out.toString())
                .endsWith(
                        " -cp " + jar + ":" + driver + ":" + engine + "/jars/* org.iommu4j.workbench.Main explore x\n");
        assertThat(err.toString()).isEmpty();
    }

    @Test
    void anEnginePathWithoutAnEngineIsOneLine() throws IOException, InterruptedException {
        built();
        assertThat(launch("--engine-path", folder.toString(), "explore")).isEqualTo(2);
        assertOneLine("engine path: no java-options and jars in " + folder);
        assertThat(launch("--engine-path")).isEqualTo(2);
        assertOneLine("--engine-path: expected a directory");
    }

    @Test
    void aVendorPathThatLacksAJarOrAVendorIsOneLine() throws IOException, InterruptedException {
        built();
        Path driver = vendorJar("driver.jar", "org.iommu4j.spi.IommuVendor");
        Path other = vendorJar("other.jar", "java.sql.Driver");

        assertThat(launch("--vendor-path", driver + ":nowhere.jar", "cases")).isEqualTo(2);
        assertOneLine("vendor path: nowhere.jar is missing or can't be read");
        assertThat(launch("--vendor-path", other.toString(), "cases")).isEqualTo(2);
        assertOneLine("vendor path: neither a vendor nor silicon in " + other);
        assertThat(launch("--vendor-path")).isEqualTo(2);
        assertOneLine("--vendor-path: expected jars");
        assertThat(launch("--vendor-path", other + ":" + driver, "cases"))
                .as("what a vendor needs")
                .isEqualTo(1);
    }

    @Test
    void aNewerSourceIsBuilt() throws IOException, InterruptedException {
        built();
        Files.setLastModifiedTime(
                root.resolve("workbench/src/main/java/A.java"),
                FileTime.from(Instant.now().plusSeconds(60)));
        assertThat(launch("x")).isEqualTo(1);
        assertThat(err.toString()).contains("building");
    }

    @Test
    void anotherUserRunsWhatTheOwnerBuilt() throws IOException, InterruptedException {
        built();
        Map<Path, FileTime> before = times();
        assertThat(launchAsAnother("cases")).isEqualTo(1);
        assertThat(err.toString()).isEmpty();
        assertThat(out.toString()).contains("-XX:SharedArchiveFile=").endsWith(" cases\n");
        assertThat(times()).isEqualTo(before);
    }

    @Test
    void anotherUserHearsWhoMustBuild() throws IOException, InterruptedException {
        assertThat(launchAsAnother("cases")).isEqualTo(2);
        String owner = Files.getOwner(root).getName();
        assertOneLine("not built yet; this checkout's owner " + owner + " must run " + root + "/iommu4j once");
        Files.setAttribute(root, "unix:uid", 4_242_424);
        assertThat(launchAsAnother("cases")).isEqualTo(2);
        assertOneLine("not built yet; this checkout's owner of number 4242424 must run");
    }

    @Test
    void anotherUserIsWarnedOfSourcesThatTheOwnerHasNotBuilt() throws IOException, InterruptedException {
        built();
        Files.setLastModifiedTime(
                root.resolve("pom.xml"), FileTime.from(Instant.now().plusSeconds(60)));
        assertThat(launchAsAnother("cases")).isEqualTo(1);
        assertThat(err.toString()).hasLineCount(1).contains("warning: sources are newer", "must run", "to renew it");
        assertThat(out.toString()).endsWith(" cases\n");
    }

    @Test
    void anotherUserWhoMayNotReadTheJarHearsSo() throws IOException, InterruptedException {
        built();
        Files.setPosixFilePermissions(target.resolve("iommu4j.jar"), PosixFilePermissions.fromString("rw-------"));
        assertThat(launchAsAnother("cases")).isEqualTo(2);
        assertOneLine("iommu4j.jar can't be read; this checkout's owner");
    }

    /** Whose checkout it is must still be able to build when root ran it once. */
    @Test
    void rootBySudoBuildsNothingInAnothersCheckout() throws IOException, InterruptedException {
        assumeTrue(isRoot(), "only root can give files away");
        environment.put("SUDO_UID", "1000");
        Files.setAttribute(root, "unix:uid", NOBODY);
        assertThat(launch("cases")).isEqualTo(2);
        assertOneLine("not built yet; this checkout's owner", "once");
        assertThat(target).doesNotExist();
    }

    @Test
    void anArchiveThatCannotBeRenewedStopsNothing() throws IOException, InterruptedException {
        built();
        Files.writeString(target.resolve("iommu4j.jsa.key"), "another\n");
        Files.delete(target.resolve("iommu4j.jsa"));
        Files.createDirectories(target.resolve("iommu4j.jsa/full"));
        assertThat(launch("cases")).isEqualTo(1);
        assertThat(err.toString()).isEmpty();
        assertThat(out.toString()).doesNotContain("SharedArchiveFile").endsWith(" cases\n");
        assertThat(launchAsAnother("cases")).isEqualTo(1);
        assertThat(err.toString()).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({"11.0.2, 11", "1.8.0_292, 8", "16, 16"})
    void aJavaThatIsTooOldIsNamed(String version, String release) throws IOException, InterruptedException {
        program("java", "#!/bin/sh\necho 'openjdk version \"" + version + "\"' >&2\n");
        assertThat(launch("cases")).isEqualTo(2);
        assertThat(err.toString().lines().skip(1))
                .singleElement()
                .asString()
                .contains(folder.resolve("bin/java") + " is Java " + release + ", too old; install a JDK 17 or newer");
    }

    @Test
    void aJavaThatCannotRunTheJarIsQuoted() throws IOException, InterruptedException {
        program("java", """
                #!/bin/sh
                [ "$*" = -version ] && exit
                printf 'Error: Invalid or corrupt jarfile\\033[31m\\nmore\\n' >&2
                exit 1
                """);
        Files.createDirectories(target);
        Files.writeString(target.resolve("iommu4j.jar"), "built");
        assertThat(launch("cases")).isEqualTo(2);
        assertOneLine("can't run the command: Error: Invalid or corrupt jarfile?[31m more");
    }

    @Test
    void optionsThatTheJvmRefusesAreNoBadAnswer() throws IOException, InterruptedException {
        built();
        program("java", """
                #!/bin/sh
                case "$*$JAVA_TOOL_OPTIONS" in
                *-Xfrobnicate*) echo 'Unrecognized option: -Xfrobnicate' >&2; exit 1 ;;
                *-Xmx1k*) echo 'Picked up JAVA_TOOL_OPTIONS' >&2; printf 'Error of the VM\\nToo small\\n'; exit 1 ;;
                esac
                """);
        assertThat(launch("cases")).isZero();
        environment.put("IOMMU4J_JAVA_OPTS", "-Xfrobnicate");
        assertThat(launch("cases")).isEqualTo(2);
        assertOneLine("can't run the command: Unrecognized option: -Xfrobnicate\n");
        environment.remove("IOMMU4J_JAVA_OPTS");
        environment.put("JAVA_TOOL_OPTIONS", "-Xmx1k");
        assertThat(launch("cases")).isEqualTo(2);
        assertOneLine("can't run the command: Error of the VM Too small\n");
    }

    @Test
    void whatCannotBeExecutedIsNoBadAnswer() throws IOException, InterruptedException {
        built();
        program("java", "#!/no/such/interpreter\n");
        assertThat(launch("cases")).isEqualTo(2);
    }

    @Test
    void withoutJavaOrMavenALineSaysWhatToInstall() throws IOException, InterruptedException {
        Path tools = Files.createDirectory(folder.resolve("tools"));
        for (String tool :
                List.of("bash", "dirname", "readlink", "stat", "find", "sed", "head", "grep", "tail", "cksum")) {
            executable(Files.writeString(tools.resolve(tool), "#!/bin/sh\nexec /usr/bin/" + tool + " \"$@\"\n"));
        }
        environment.put("PATH", tools.toString());
        assertThat(launch("cases")).isEqualTo(2);
        assertOneLine("no java found; install a JDK 17 or newer");
        environment.put("JAVA_HOME", folder.toString());
        assertThat(launch("cases")).isEqualTo(2);
        assertOneLine("no mvn found to build with; install Maven 3.8.7 or newer");
    }

    @Test
    void aBuildThatFailsIsQuoted() throws IOException, InterruptedException {
        program("mvn", "#!/bin/sh\necho '[INFO] x'\necho '[ERROR] no compiler'\necho '[ERROR] more'\nexit 1\n");
        assertThat(launch("cases")).isEqualTo(2);
        assertThat(err.toString().lines().skip(1))
                .containsExactly("iommu4j: the build failed; see " + target.resolve("iommu4j-build.log")
                        + ": [ERROR] no compiler");
        program("mvn", "#!/bin/sh\n");
        assertThat(launch("cases")).isEqualTo(2);
        assertThat(err.toString()).contains("the build made no " + target.resolve("iommu4j.jar"));
    }

    @Test
    void aPlaceThatTakesNoBuildIsNamed() throws IOException, InterruptedException {
        Files.createDirectories(target.getParent());
        Files.writeString(target, "a file");
        assertThat(launch("cases")).isEqualTo(2);
        assertThat(err.toString().lines().skip(1)).containsExactly("iommu4j: " + target + " can't be written");
    }

    @ParameterizedTest
    @ValueSource(strings = {"<&-", "2>&-"})
    void aClosedDescriptorIsTakenByNoFile(String closed) throws IOException, InterruptedException {
        built();
        program("java", "#!/bin/sh\nreadlink /proc/self/fd/0 /proc/self/fd/2\n");
        assertThat(shell(List.of(), "exec \"$0\" " + closed)).isZero();
        assertThat(out.toString()).contains("/dev/null");
    }

    @Test
    void aClosedStandardOutputIsNoAnswer() throws IOException, InterruptedException {
        built();
        assertThat(shell(List.of(), "exec \"$0\" cases >&-")).isEqualTo(2);
        assertOneLine("standard output is closed");
    }

    @Test
    void whereTheLocaleKnowsOnlyAsciiNamesAreReadAsUtf8AndTheAnswerIsAscii() throws IOException, InterruptedException {
        built();
        program("java", "#!/bin/sh\necho \"$LC_ALL $*\"\n");
        environment.remove("LC_ALL");
        for (String locale : List.of("C", "POSIX", "xx_XX.UTF-8", "")) {
            environment.put("LANG", locale);
            assertThat(launch("caf\u00e9")).isZero();
            assertThat(out.toString()).startsWith("C.UTF-8 ").contains("-Dstdout.encoding=US-ASCII");
            assertThat(err.toString()).isEmpty();
        }
        environment.put("LANG", "C.UTF-8");
        assertThat(launch()).isZero();
        assertThat(out.toString()).doesNotContain("stdout.encoding");
    }

    @Test
    void itIsFoundThroughLinksAndAPathOfDirectories() throws IOException, InterruptedException {
        built();
        Path link = Files.createSymbolicLink(folder.resolve("link"), Path.of("a checkout/iommu4j"));
        environment.put("CDPATH", folder.toString());
        assertThat(shell(List.of(), "cd '" + folder + "' && exec './a checkout/../link' x"))
                .isEqualTo(1);
        assertThat(out.toString()).endsWith("-jar " + target.resolve("iommu4j.jar") + " x\n");
        assertThat(link).isSymbolicLink();
    }

    private Map<Path, FileTime> times() throws IOException {
        Map<Path, FileTime> times = new TreeMap<>();
        Files.walkFileTree(root, new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) {
                times.put(file, attributes.lastModifiedTime());
                return FileVisitResult.CONTINUE;
            }
        });
        return times;
    }
}
