// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench;

import static org.assertj.core.api.Assertions.assertThat;

import com.github.luben.zstd.Zstd;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.iommu4j.workbench.decode.Dump;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Decodes dumps made by hand, of a kind of unit that only these tests have. */
class DecodeCommandTest {
    private static final long ROOT = 0x1000;
    private static final long TOP = 0x2000;
    private static final long BOTTOM = 0x3000;
    private static final long VALID = 1;
    private static final long VALID_AND_PASID = 3;
    private static final long BLOCKED = 4;
    private static final long READ = 1;
    private static final long READ_WRITE = 3;
    private static final long TABLE = 4;
    private static final long SNOOP = 8;

    private final StringWriter out = new StringWriter();
    private final StringWriter err = new StringWriter();

    @TempDir
    private Path folder;

    private Dump dump;

    /** Device 00:05.0: 2 MiB, then three pages of which two continue each other; a PASID has the same. */
    @BeforeEach
    void someTables() {
        dump = new Dump(folder)
                .set(ROOT + 0x28 * 8, TOP | VALID_AND_PASID)
                .set(TOP, 0x4000_0000L | READ_WRITE | SNOOP)
                .set(TOP + 8, BOTTOM | TABLE)
                .set(BOTTOM, 0x5000_0000L | READ)
                .set(BOTTOM + 8, 0x5000_1000L | READ)
                .set(BOTTOM + 16, 0x6000_0000L | READ);
    }

    private int execute(String... arguments) {
        CommandLine commandLine = Main.commandLine();
        commandLine.setOut(new PrintWriter(out));
        commandLine.setErr(new PrintWriter(err));
        commandLine.setColorScheme(CommandLine.Help.defaultColorScheme(CommandLine.Help.Ansi.OFF));
        return commandLine.execute(arguments);
    }

    private int decode(String... more) throws IOException {
        Stream<String> files = Stream.of(
                "decode",
                "--registers",
                dump.registers(ROOT, 2).toString(),
                "--memory",
                dump.pages("memory.bin").toString());
        return execute(Stream.concat(files, Stream.of(more)).toArray(String[]::new));
    }

    @Test
    void theTreeHasTablesAndRunsOfMappings() throws IOException {
        assertThat(decode()).isZero();
        assertThat(err.toString()).isEmpty();
        String tables = """
                  L2 0x0                -> 0x40000000              2M  rw  snoop forced  0x4000000b
                  L2 0x200000  table by 0x3004 at 0x2008
                    L1 0x200000         -> 0x50000000          2 x 4K  r                 0x50000001 ...
                    L1 0x202000         -> 0x60000000              4K  r                 0x60000001
                """;
        assertThat(out.toString())
                .isEqualTo("ladder of 2 levels, root at 0x1000\n"
                        + "00:05.0  plain, top table 0x2000\n"
                        + tables
                        + "00:05.0 PASID 0x5  plain, top table 0x2000\n"
                        + tables);
    }

    @Test
    void requestersWithoutTablesAreOneLineWhileTheyFollowEachOther() throws IOException {
        dump = new Dump(folder).set(ROOT + 0x28 * 8, TOP | VALID).set(TOP, 0x4000_0000L | READ);
        for (int requesterId : new int[] {0x10, 0x11, 0x12, 0x20, 0x29, 0x2a}) {
            dump.set(ROOT + requesterId * 8L, BLOCKED);
        }
        assertThat(decode()).isZero();
        assertThat(out.toString().lines().filter(line -> !line.startsWith("  L")))
                .containsExactly(
                        "ladder of 2 levels, root at 0x1000",
                        "00:02.0 to 00:02.2 (3)  blocked",
                        "00:04.0  blocked",
                        "00:05.0  plain, top table 0x2000",
                        "00:05.1 to 00:05.2 (2)  blocked");
    }

    @Test
    void theListHasEveryMapping() throws IOException {
        assertThat(decode("--list")).isZero();
        assertThat(out.toString().lines())
                .hasSize(9)
                .contains(
                        "device   PASID    IOVA                physical          size  perm  snoop   entry",
                        "00:05.0  -        0x201000            0x50001000          4K  r     -       0x50001001",
                        "00:05.0  0x5      0x0                 0x40000000          2M  rw    forced  0x4000000b");
    }

    @Test
    void jsonHasAnObjectForEveryMapping() throws IOException {
        assertThat(decode("--format", "json")).isZero();
        JsonNode json = JsonMapper.shared().readTree(out.toString());
        assertThat(json.size()).isEqualTo(8);
        assertThat(json.get(0).toString())
                .isEqualTo(
                        "{\"bdf\":\"00:05.0\",\"pasid\":null,\"iova\":\"0x0\",\"pa\":\"0x40000000\",\"size\":2097152,"
                                + "\"perm\":\"rw\",\"snoop\":true,\"pte\":\"0x4000000b\"}");
        assertThat(json.get(5).get("pasid").intValue()).isEqualTo(5);
        assertThat(json.get(5).get("snoop").booleanValue()).isFalse();
    }

    @Test
    void aDeviceWithoutAnEntryHasNoMappings() throws IOException {
        assertThat(decode("--format", "json", "--device", "00:06.0")).isZero();
        assertThat(JsonMapper.shared().readTree(out.toString()).size()).isZero();
        assertThat(decode("--device", "00:06.0")).isZero();
        assertThat(out.toString()).contains("00:06.0  no entry");
    }

    @Test
    void aDeviceMayBeASourceIdOfUpTo32Bits() throws IOException {
        assertThat(decode("--list", "--device", "0x28")).isZero();
        assertThat(out.toString()).contains("00:05.0  -        0x201000");
        assertThat(decode("--device", "0xfedcba98")).isZero();
        assertThat(out.toString()).contains("0xfedcba98  no entry");
        assertThat(decode("--device", "0x123456789")).isEqualTo(2);
        assertThat(decode("--device", "0x")).isEqualTo(2);
    }

    @Test
    void anAddressIsFollowedThroughItsEntries() throws IOException {
        assertThat(decode("--device", "00:05.0", "--iova", "0x201010")).isZero();
        assertThat(out.toString()).startsWith("""
                00:05.0  plain
                  L2 table by 0x3004 at 0x2008
                  L1 0x201000 -> 0x50001000  4K  r  0x50001001
                  read  of 0x201010: 0x50001010
                  write of 0x201010: fault 0x2, not permitted
                00:05.0 PASID 0x5  plain
                """);
    }

    @Test
    void anAddressIsFollowedInJsonToo() throws IOException {
        assertThat(decode("--device", "00:05.0", "--iova", "201010", "--format", "json"))
                .isZero();
        JsonNode json = JsonMapper.shared().readTree(out.toString());
        assertThat(json.size()).isEqualTo(2);
        assertThat(json.at("/0/read/pa").asString()).isEqualTo("0x50001010");
        assertThat(json.at("/0/write/fault").intValue()).isEqualTo(2);
        assertThat(json.at("/0/write/pa").isNull()).isTrue();
        assertThat(json.at("/0/path/0/entryAddress").asString()).isEqualTo("0x2008");
        assertThat(json.at("/0/mapping/size").intValue()).isEqualTo(4096);
        assertThat(json.at("/1/pasid").intValue()).isEqualTo(5);
    }

    @Test
    void whatIsNotMappedHasNoPath() throws IOException {
        assertThat(decode("--device", "00:05.0", "--iova", "0x3ff000")).isZero();
        assertThat(out.toString()).startsWith("""
                00:05.0  plain
                  read  of 0x3ff000: fault 0x2, not permitted
                """);
        assertThat(decode("--device", "00:06.0", "--iova", "0x3ff000")).isZero();
        assertThat(out.toString()).contains("00:06.0  no entry\n  read  of 0x3ff000: fault 0x1, no entry");
    }

    @Test
    void whatCanNotBeFollowedIsAProblemAndTheRestIsPrinted() throws IOException {
        dump.set(TOP + 16, 0x9_0000L | TABLE).set(TOP + 24, 0x7000_0000L | READ);
        assertThat(decode("--device", "00:05.0")).isEqualTo(2);
        assertThat(err.toString().lines())
                .containsExactly(
                        "problem: the table at 0x90000 is not in memory",
                        "problem: the table at 0x90000 is not in memory");
        assertThat(out.toString()).contains("L2 0x600000", "0x70000000");
    }

    @Test
    void oneProblemAThousandTimesIsToldTwentyTimes() throws IOException {
        for (int i = 0; i < 500; i++) {
            dump.set(BOTTOM + 8L * i, 0x9_0000L | TABLE);
        }
        assertThat(decode("--format", "json")).isEqualTo(2);
        assertThat(err.toString().lines()).hasSize(21).last().isEqualTo("problem: 980 more like these");
        assertThat(JsonMapper.shared().readTree(out.toString()).size()).isEqualTo(2);
    }

    @Test
    void aTableInsideItselfIsAProblem() throws IOException {
        dump.set(TOP + 16, TOP | TABLE);
        assertThat(decode()).isEqualTo(2);
        assertThat(err.toString()).contains("problem: the table at 0x2000 is inside itself");
    }

    /** Five pages, of which each has the next one 512 times: 2^36 tables without a loop. */
    @Test
    void tablesThatUnfoldWithoutEndEnd() throws IOException {
        dump = new Dump(folder).set(ROOT + 0x28 * 8, TOP | VALID);
        for (int level = 0; level < 4; level++) {
            for (int i = 0; i < 512; i++) {
                dump.set(TOP + 0x1000L * level + 8L * i, TOP + 0x1000L * (level + 1) | TABLE);
            }
        }
        dump.set(TOP + 0x4000, READ);
        Path registers = dump.registers(ROOT, 5);
        Path memory = dump.pages("memory.bin");
        assertThat(execute(
                        "decode",
                        "--registers",
                        registers.toString(),
                        "--memory",
                        memory.toString(),
                        "--format",
                        "json",
                        "--limit",
                        "100000"))
                .isEqualTo(2);
        assertThat(err.toString())
                .startsWith("problem: more than 100000 entries")
                .hasLineCount(1);
        assertThat(JsonMapper.shared().readTree(out.toString()).isArray()).isTrue();
    }

    @Test
    void aDumpThatNobodyRecognisesSaysWhoWasAsked() throws IOException {
        Path registers = Files.writeString(folder.resolve("other.txt"), "0x0 0x0\n");
        assertThat(execute(
                        "decode",
                        "--registers",
                        registers.toString(),
                        "--memory",
                        dump.pages("memory.bin").toString()))
                .isEqualTo(2);
        assertThat(err.toString())
                .hasLineCount(1)
                .startsWith("iommu4j: " + registers + ": no registers of a known translation unit; tried: ")
                .contains("ladder");
        assertThat(out.toString()).isEmpty();
    }

    @Test
    void aRegisterThatIsNeededAndMissingIsNamed() throws IOException {
        Path registers = Files.writeString(folder.resolve("other.txt"), "0x0 0x72656464616c\n");
        assertThat(execute(
                        "decode",
                        "--registers",
                        registers.toString(),
                        "--memory",
                        dump.pages("memory.bin").toString()))
                .isEqualTo(2);
        assertThat(err.toString()).hasLineCount(1).contains("ladder: register 0x8 (root) is missing");
    }

    @Test
    void anAddressNeedsADevice() throws IOException {
        assertThat(decode("--iova", "0x1000")).isEqualTo(2);
        assertThat(err.toString()).hasLineCount(1).contains("--iova needs --device");
        assertThat(decode("--iova", "x", "--device", "00:05.0")).isEqualTo(2);
        assertThat(err.toString()).contains("'x' is not an address");
    }

    @Test
    void aCompressedDumpLeavesNoTemporaryFile() throws IOException {
        Path memory = dump.compressedPages("memory.bin.zst");
        long before = temporaryFiles();
        assertThat(execute(
                        "decode",
                        "--registers",
                        dump.registers(ROOT, 2).toString(),
                        "--memory",
                        memory.toString(),
                        "--list"))
                .isZero();
        assertThat(out.toString()).hasLineCount(9);
        assertThat(temporaryFiles()).isEqualTo(before);
    }

    private Path zeros(int mebibytes) throws IOException {
        return Files.write(folder.resolve("zeros.raw.zst"), Zstd.compress(new byte[mebibytes << 20]));
    }

    @Test
    void aCompressedDumpIsUnpackedNoFurtherThanAllowed() throws IOException {
        String registers = dump.registers(ROOT, 2).toString();
        String memory = zeros(2).toString();
        assertThat(execute("decode", "--registers", registers, "--memory", memory, "--unpack-limit", "2M"))
                .isZero();
        assertThat(execute("decode", "--registers", registers, "--memory", memory, "--unpack-limit", "2047K"))
                .isEqualTo(2);
        assertThat(err.toString())
                .isEqualTo("iommu4j: " + memory
                        + ": has more than 2096128 bytes when decompressed; --unpack-limit allows" + " more\n");
        assertThat(execute("decode", "--registers", registers, "--memory", memory, "--unpack-limit", "-1"))
                .isEqualTo(2);
        assertThat(execute("decode", "--registers", registers, "--memory", memory, "--unpack-limit", "99999999T"))
                .isEqualTo(2);
        assertThat(err.toString().lines()).hasSize(3).last().asString().contains("too big a size");
    }

    /** Else whoever sends a dump decides on the disk's contents before anything was recognised. */
    @Test
    void registersAreLookedAtBeforeMemoryIsUnpacked() throws IOException {
        Path registers = Files.writeString(folder.resolve("other.txt"), "0x0 0x0\n");
        assertThat(execute(
                        "decode",
                        "--registers",
                        registers.toString(),
                        "--memory",
                        zeros(2).toString(),
                        "--unpack-limit",
                        "1"))
                .isEqualTo(2);
        assertThat(err.toString()).hasLineCount(1).contains("no registers of a known translation unit");
    }

    @Test
    void whatWouldBeWaitedForIsRefused() throws Exception {
        Path pipe = folder.resolve("pipe.bin");
        assertThat(new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor())
                .isZero();
        String registers = dump.registers(ROOT, 2).toString();
        String memory = dump.pages("memory.bin").toString();
        for (String other : List.of(pipe.toString(), folder.toString(), "/dev/null")) {
            err.getBuffer().setLength(0);
            assertThat(execute("decode", "--registers", other, "--memory", memory))
                    .isEqualTo(2);
            assertThat(err.toString()).hasLineCount(1).contains(other + ": is not a regular file");
        }
        err.getBuffer().setLength(0);
        assertThat(execute("decode", "--registers", registers, "--memory", pipe.toString()))
                .isEqualTo(2);
        assertThat(err.toString()).hasLineCount(1).contains(pipe + ": is not a regular file");
        err.getBuffer().setLength(0);
        Path empty = Files.createFile(folder.resolve("empty"));
        assertThat(execute("decode", "--registers", empty.toString(), "--memory", memory))
                .isEqualTo(2);
        assertThat(err.toString()).hasLineCount(1).contains(empty + ": is empty");
    }

    private static long temporaryFiles() throws IOException {
        try (Stream<Path> files = Files.list(Path.of(System.getProperty("java.io.tmpdir")))) {
            return files.filter(file -> file.getFileName().toString().matches("iommu4j-.*\\.memory"))
                    .count();
        }
    }

    /** Tables above 4 GiB, in a JVM whose heap is a fortieth of the image. */
    @Test
    void aSparseImageOfFiveGibibytesIsReadInASmallHeap() throws Exception {
        long high = 0x1_3000_0000L;
        Dump large = new Dump(folder)
                .set(ROOT + 0x28 * 8, high | VALID)
                .set(high, high + 0x1000 | TABLE)
                .set(high + 0x1000, 0x1_3fff_f000L | READ_WRITE);
        Path memory = large.raw("memory.raw", 5L << 30);
        Path output = folder.resolve("out");
        Process process = new ProcessBuilder(List.of(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-Xmx128m",
                        "-cp",
                        System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
                        "org.iommu4j.workbench.Main",
                        "decode",
                        "--registers",
                        large.registers(ROOT, 2).toString(),
                        "--memory",
                        memory.toString(),
                        "--list"))
                .redirectErrorStream(true)
                .redirectOutput(output.toFile())
                .start();
        try {
            assertThat(process.waitFor(60, TimeUnit.SECONDS)).as("ends").isTrue();
        } finally {
            process.destroyForcibly();
        }
        String text = Files.readString(output, StandardCharsets.UTF_8);
        assertThat(process.exitValue()).as(text).isZero();
        assertThat(text).isEqualTo("""
                        device   PASID    IOVA                physical          size  perm  snoop   entry
                        00:05.0  -        0x0                 0x13ffff000         4K  rw    -       0x13ffff003
                        """);
    }

    /** VT-d's: each of 65,536 requesters has a million PASIDs in empty tables. There is nothing to tell, for hours. */
    @Test
    void aVisitThatFindsNothingForHoursEnds() throws IOException {
        Dump damaged = new Dump(folder).set(0x2_3000, 0);
        for (int i = 0; i < 512; i++) {
            damaged.set(0x1000 + i * 8, 0x2000 | 1);
            for (int page = 0; page < 32; page++) {
                damaged.set(0x3000 + page * 4096 + i * 8, 0x2_3000 | 1);
            }
        }
        for (int context = 0; context < 128; context++) {
            damaged.set(0x2000 + context * 32, 0x3000 | 7 << 9 | 8 | 1);
        }
        Path registers = Files.writeString(
                folder.resolve("vtd.txt"), "0x0 0x10\n0x8 0xd2008c22260206\n0x10 0xc99880f00fca\n0x20 0x1400\n");
        assertThat(execute(
                        "decode",
                        "--registers",
                        registers.toString(),
                        "--memory",
                        damaged.pages("damaged.bin").toString(),
                        "--limit",
                        "1000"))
                .isEqualTo(2);
        assertThat(err.toString())
                .contains("words read for at most 1000 entries")
                .doesNotContain("Exception");
    }
}
