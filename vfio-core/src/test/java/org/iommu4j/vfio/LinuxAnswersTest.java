// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.LongSupplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.ReservedRegion;
import org.iommu4j.vfio.testvendor.TestDevice;
import org.iommu4j.vfio.testvendor.TestHost;
import org.iommu4j.vfio.testvendor.TestProcess;
import org.iommu4j.vfio.type1.IovaRange;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Replays what a program asked a real Linux 6.1, call by call, and compares every answer, under the rules of 6.1 and of
 * 7.1.
 *
 * <p>A line of the log is compared, or is known to be answered differently here (with the reason and the answer
 * expected), or concerns what is not modelled (with the reason). Any other line fails the test.
 */
class LinuxAnswersTest {
    private static final Path ANSWERS = Path.of(System.getProperty("iommu4j.shared", "../../shared"), "linux", "vfio");

    private static final LinuxRelease LINUX_6_1 = new LinuxRelease(6, 1);

    /** Answers that are not given here under any rules: the start of the line and the errno expected, see below. */
    private static final Map<String, String> DIFFERENT = new LinkedHashMap<>();

    /** Answers of 6.1 that 7.1 does not give: the start of the line and the errno expected. */
    private static final Map<String, String> DIFFERENT_SINCE = new LinkedHashMap<>();

    /**
     * Bytes that 6.1 did not unmap and 7.1 does, where the page at the end of the address space can be mapped: there
     * iova + size is 0, which 6.1 took for below iova. What is unmapped at once is not there when all is unmapped.
     */
    private static final Map<String, Long> DIFFERENT_SINCE_ON_AMD =
            Map.of("UNMAP top page (nothing there)", 0x1000L, "UNMAP flags ALL (2) iova=0 size=0", 0xd000L);

    /** What a line is about that nothing is compared with. */
    private static final Map<String, String> NOT_MODELLED = new LinkedHashMap<>();

    static {
        String overflow = "EOVERFLOW"; // Since the 64-bit overflow checks of late 2025; EINVAL before.
        DIFFERENT_SINCE.put("MAP iova wrap", overflow);
        DIFFERENT_SINCE.put("MAP vaddr wrap", overflow);
        DIFFERENT_SINCE.put("UNMAP wraparound", overflow);
        String updateVaddr = "EINVAL"; // Changing virtual addresses under a mapping is not modelled: unknown flag.
        DIFFERENT.put("MAP flags VADDR (4) alone", updateVaddr);
        DIFFERENT.put("UNMAP flags VADDR (4)", updateVaddr);

        NOT_MODELLED.put("^(BEGIN|END)-VFIO|^VFIO-TRUTH-DONE|^Linux |^console=|^device |^$", "frame of the log");
        NOT_MODELLED.put("^qemu-system|^madvise", "the emulator's own messages");
        NOT_MODELLED.put("^GET_API_VERSION|^GET_INFO argsz=|argsz too small", "sizes of C structures");
        NOT_MODELLED.put("^SET_CONTAINER (bad fd|/dev/null)", "file descriptors of other kinds");
        NOT_MODELLED.put("cap MIGRATION|^DIRTY_PAGES", "dirty tracking");
        NOT_MODELLED.put(
                "DEVICE_GET_INFO|config region|PCI command|BAR0 size|^rw page:|^write (to|after)|^device of 2nd",
                "regions and DMA of the device");
    }

    private static final Pattern CALL = Pattern.compile(
            "(MAP|UNMAP) +(.*?) +iova=(\\w+) size=(\\w+) flags=(\\w+) argsz=(\\d+) -> (-1 (\\w+)|0 0)(?: size_out=(\\w+))?");
    private static final Pattern ANSWER = Pattern.compile("(.*?) -> (?:(-1) (\\w+)|(?:fd )?0(?: 0)?)((?: .*)?)");

    @ParameterizedTest
    @CsvSource({
        "sc0, 6.1, 246, 4",
        "sc1, 6.1, 246, 4",
        "amd, 6.1, 246, 4",
        "sc0, 7.1, 240, 10",
        "sc1, 7.1, 240, 10",
        "amd, 7.1, 236, 14"
    })
    void theAnswersAreThoseOfLinux(String capture, String release, int atLeast, int different) throws IOException {
        Path file = ANSWERS.resolve(capture + ".txt");
        Assumptions.assumeTrue(Files.isReadable(file), () -> "no " + file + " to compare with");
        Replay replay = new Replay(capture, LinuxRelease.named(release));
        for (String line : Files.readAllLines(file)) {
            replay.line(line.stripTrailing());
        }
        System.out.printf(
                "%s under %s: %d answers compared, %d known to differ, %d lines of what is not modelled%n",
                capture, release, replay.compared, replay.different, replay.notModelled);
        assertThat(replay.wrong).isEmpty();
        assertThat(replay.compared).isGreaterThanOrEqualTo(atLeast);
        assertThat(replay.different).isEqualTo(different);
    }

    private static final class Replay {
        private static final long BUFFER = 0x7f00_0000_0000L;
        private static final long READ_ONLY = 0x7f10_0000_0000L;
        private static final long HOLE = 0x7f20_0000_0000L;
        private static final long HUGE = 0x7f30_0000_0000L;

        private final String capture;
        private final VfioOptions options;
        private final Map<String, String> differentErrno = new LinkedHashMap<>(DIFFERENT);
        private final Map<String, Long> differentBytes;
        private final List<String> wrong = new ArrayList<>();
        private int compared;
        private int different;
        private int notModelled;

        private TestHost host;
        private TestDevice device1;
        private TestDevice device2;
        private TestDevice device3;
        private VfioGroup group1;
        private VfioGroup group2;
        private VfioGroup group3;
        private VfioContainer container;
        private VfioDevice open;
        private int type = VfioExtension.TYPE1V2_IOMMU;

        Replay(String capture, LinuxRelease release) {
            this.capture = capture;
            options = VfioOptions.DEFAULT.withRelease(release);
            boolean changed = !release.equals(LINUX_6_1);
            if (changed) {
                differentErrno.putAll(DIFFERENT_SINCE);
            }
            differentBytes = changed && capture.equals("amd") ? DIFFERENT_SINCE_ON_AMD : Map.of();
            freshHost(options);
            container = host.vfio().openContainer(process(Long.MAX_VALUE));
        }

        private void freshHost(VfioOptions chosen) {
            host = new TestHost().with(chosen);
            host.iommu.pageSizes = capture.equals("amd") ? 0xffff_ff7f_ffff_f000L : 0x4020_1000L;
            device1 = device("00:05.0", false);
            device2 = device("00:0b.0", false);
            device3 = device("00:0c.0", true);
            TestDevice sister = device("00:0c.1", true);
            if (!capture.equals("amd")) {
                host.core().group(sister.address()).orElseThrow().useDefaultDomain(sister);
            }
        }

        private TestDevice device(String address, boolean multiFunction) {
            TestDevice device = host.add(address, multiFunction);
            device.snoopControl = !capture.equals("sc0");
            if (capture.equals("amd")) {
                device.apertureEnd = -1L;
                device.reservedRegions = List.of(
                        new ReservedRegion(0xfee00000L, 0xfeefffffL, ReservedRegion.Type.MSI),
                        new ReservedRegion(0xfd00000000L, 0xffffffffffL, ReservedRegion.Type.RESERVED));
            }
            return device;
        }

        private static TestProcess process(long limit) {
            return new TestProcess(limit)
                    .place(BUFFER, 0x1_0000_0000L, 512, true)
                    .place(READ_ONLY, 0x1_8000_0000L, 1, false)
                    .place(HOLE, 0x1_9000_0000L, 2, true)
                    .place(HOLE + 0x3000, 0x1_9000_3000L, 1, true)
                    .place(HUGE, 0x3400000, 512, true);
        }

        void line(String line) {
            if (line.startsWith("--") || line.startsWith("====")) {
                section(line);
                return;
            }
            for (String pattern : NOT_MODELLED.keySet()) {
                if (Pattern.compile(pattern).matcher(line).find()) {
                    notModelled++;
                    return;
                }
            }
            Matcher call = CALL.matcher(line);
            if (call.matches()) {
                mapOrUnmap(line, call);
            } else if (line.startsWith("CHECK_EXTENSION")) {
                checkExtension(line);
            } else if (line.startsWith("  cap ") || line.startsWith("dma_avail") || line.startsWith("  avail")) {
                capability(line);
            } else if (line.startsWith("1st group SET_CONTAINER again")) {
                answer(line, "1st group SET_CONTAINER again -> 0 0; SET_IOMMU again", null, () -> {
                    group1.setContainer(container);
                    container.setIommu(VfioExtension.TYPE1V2_IOMMU);
                    return 0;
                });
            } else {
                Matcher answer = ANSWER.matcher(line);
                if (answer.matches()) {
                    groupCall(line, answer);
                } else {
                    wrong.add("nothing is known about: " + line);
                }
            }
        }

        private void section(String line) {
            if (line.startsWith("-- RLIMIT")) {
                moveTo(host.vfio().openContainer(process(64)));
            } else if (line.startsWith("-- EDU")) {
                moveTo(host.vfio().openContainer(process(Long.MAX_VALUE)));
                open = group1.openDevice(device1.address());
            } else if (line.startsWith("==== second container")) {
                answer(line, line, null, () -> {
                    type = VfioExtension.TYPE1_IOMMU;
                    container.setIommu(type);
                    return 0;
                });
            } else if (line.startsWith("==== dma_entry_limit")) {
                freshHost(options.withDmaEntryLimit(4));
                container = host.container(process(Long.MAX_VALUE), VfioExtension.TYPE1V2_IOMMU, device1);
            } else if (line.startsWith("==== two groups")) {
                freshHost(options);
                group1 = host.openGroupOf(device1);
                container = host.vfio().openContainer(process(Long.MAX_VALUE));
                group1.setContainer(container);
                container.setIommu(VfioExtension.TYPE1V2_IOMMU);
                group2 = host.openGroupOf(device2);
            } else if (line.startsWith("==== group 8")) {
                container = host.vfio().openContainer(process(Long.MAX_VALUE));
            }
        }

        /** The log's child process has a limit of its own; here a container has one process, so it gets its own. */
        private void moveTo(VfioContainer next) {
            if (open != null) {
                group1.closeDevice(open);
                open = null;
            }
            group1.unsetContainer();
            group1.setContainer(next);
            next.setIommu(type);
            container = next;
        }

        private void mapOrUnmap(String line, Matcher call) {
            String label = call.group(2).strip();
            long iova = parse(call.group(3));
            long size = parse(call.group(4));
            int flags = (int) parse(call.group(5));
            String expected = call.group(8);
            String known = null;
            for (Map.Entry<String, String> entry : differentErrno.entrySet()) {
                if ((call.group(1) + " " + label).startsWith(entry.getKey())) {
                    known = entry.getValue();
                }
            }
            if (call.group(1).equals("MAP")) {
                long virtualAddress = virtualAddress(label);
                compare(line, known == null ? expected : known, known != null, null, () -> {
                    container.map(iova, virtualAddress, size, flags);
                    return 0;
                });
            } else {
                Long atTheEnd = differentBytes.get("UNMAP " + label);
                Long bytes = known != null || expected != null ? null : Long.valueOf(parse(call.group(9)));
                compare(
                        line,
                        known == null ? expected : known,
                        known != null || atTheEnd != null,
                        atTheEnd == null ? bytes : atTheEnd,
                        () -> container.unmap(iova, size, flags));
            }
        }

        private static long virtualAddress(String label) {
            if (label.startsWith("vaddr unaligned")) {
                return BUFFER + 0x800;
            } else if (label.startsWith("vaddr wrap")) {
                return -4096L;
            } else if (label.startsWith("vaddr kernel half")) {
                return 0xffff_8880_0000_0000L;
            } else if (label.startsWith("vaddr NULL page")) {
                return 0;
            } else if (label.startsWith("PROT_READ memory")) {
                return READ_ONLY;
            } else if (label.startsWith("PROT_NONE memory")) {
                return READ_ONLY + 0x1000;
            } else if (label.startsWith("hole after 2") || label.startsWith("(nothing left")) {
                return HOLE;
            } else if (label.startsWith("2 MiB THP")) {
                return HUGE;
            } else if (label.contains("other vaddr")) {
                return BUFFER + 0x2_0000;
            }
            return BUFFER;
        }

        private void groupCall(String line, Matcher answer) {
            String call = answer.group(1).replace("0000:00:05.0", "device").strip();
            String expected = answer.group(3);
            boolean third = group3 != null;
            switch (call) {
                case "GET_INFO before SET_IOMMU",
                        "GET_INFO group attached, before SET_IOMMU",
                        "GET_INFO after UNSET_CONTAINER",
                        "GET_INFO after SET_IOMMU(TYPE1v2)",
                        "GET_INFO with two groups" ->
                    answer(line, call, expected, () -> {
                        String sizes =
                                "pgsizes=0x" + Long.toHexString(container.info().pageSizes()) + " ";
                        assertThat(answer.group(4)).contains(sizes);
                        return 0;
                    });
                case "SET_IOMMU without group" -> answer(line, call, expected, () -> setIommu(3));
                case "SET_IOMMU(99)" -> answer(line, call, expected, () -> setIommu(99));
                case "SET_IOMMU(TYPE1v2)", "SET_IOMMU(TYPE1v2) again", "SET_IOMMU" ->
                    answer(line, call, expected, () -> setIommu(3));
                case "open /dev/vfio/1" ->
                    answer(line, call, expected, () -> {
                        group1 = host.openGroupOf(device1);
                        return 0;
                    });
                case "open group a second time" ->
                    answer(line, call, expected, () -> {
                        host.vfio().openGroup(group1.id());
                        return 0;
                    });
                case "open /dev/vfio/8" ->
                    answer(line, call, expected, () -> {
                        group3 = host.openGroupOf(device3);
                        return 0;
                    });
                case "open group 9999" ->
                    answer(line, call, expected, () -> {
                        host.vfio().openGroup(9999);
                        return 0;
                    });
                case "GROUP_GET_STATUS" ->
                    answer(line, call, expected, () -> {
                        VfioGroup asked = third ? group3 : group2 != null ? group2 : group1;
                        int flags = (asked.viable() ? 1 : 0) | (asked.containerSet() ? 2 : 0);
                        assertThat(answer.group(4)).contains(flags == 0 ? "flags=0 " : "flags=0x" + flags + " ");
                        return 0;
                    });
                case "GET_DEVICE_FD before container", "GET_DEVICE_FD before SET_IOMMU" ->
                    answer(line, call, expected, () -> openDevice(group1, device1));
                case "GET_DEVICE_FD unknown device" -> answer(line, call, expected, () -> openDevice(group1, device2));
                case "GROUP_GET_DEVICE_FD device" -> answer(line, call, expected, () -> openDevice(group1, device1));
                case "GROUP_GET_DEVICE_FD 0000:00:0b.0" ->
                    answer(line, call, expected, () -> openDevice(group2, device2));
                case "GET_DEVICE_FD" -> answer(line, call, expected, () -> openDevice(group3, device3));
                case "UNSET_CONTAINER before set",
                        "UNSET_CONTAINER while device open",
                        "UNSET_CONTAINER after close(device fd) but its BAR still mmapped" ->
                    answer(line, call, expected, () -> unset(group1));
                case "UNSET_CONTAINER after device close and BAR munmap" ->
                    answer(line, call, expected, () -> {
                        group1.closeDevice(open);
                        open = null;
                        return unset(group1);
                    });
                case "SET_CONTAINER", "SET_CONTAINER again" ->
                    answer(line, call, expected, () -> {
                        (third ? group3 : group1).setContainer(container);
                        return 0;
                    });
                case "2nd group SET_CONTAINER" ->
                    answer(line, call, expected, () -> {
                        group2.setContainer(container);
                        return 0;
                    });
                case "2nd group into another container as well" ->
                    answer(line, call, expected, () -> {
                        group2.setContainer(host.vfio().openContainer(process(64)));
                        return 0;
                    });
                case "1st group UNSET" -> answer(line, call, expected, () -> unset(group1));
                case "2nd (last) group UNSET" ->
                    answer(line, call, expected, () -> {
                        group2.closeDevice(open);
                        open = null;
                        return unset(group2);
                    });
                default -> wrong.add("nothing is known about: " + line);
            }
        }

        private long setIommu(int type) {
            container.setIommu(type);
            return 0;
        }

        private long openDevice(VfioGroup group, TestDevice device) {
            open = group.openDevice(device.address());
            return 0;
        }

        private static long unset(VfioGroup group) {
            group.unsetContainer();
            return 0;
        }

        private void answer(String line, String call, String expected, LongSupplier action) {
            assertThat(call).isNotEmpty();
            compare(line, expected, false, null, action);
        }

        private void compare(String line, String expected, boolean known, Long bytes, LongSupplier action) {
            String observed = null;
            try {
                long result = action.getAsLong();
                if (bytes != null && result != bytes) {
                    wrong.add(line + " | here 0x" + Long.toHexString(result) + " bytes");
                }
            } catch (IommuException refusal) {
                observed = refusal.errno().name();
            } catch (AssertionError mismatch) {
                wrong.add(line + " | " + mismatch.getMessage());
            }
            if (expected == null ? observed != null : !expected.equals(observed)) {
                wrong.add(line + " | here " + observed);
            }
            if (known) {
                different++;
            } else {
                compared++;
            }
        }

        /** There is no nesting container here, which 7.1 does not have any more; virtual addresses can't be changed. */
        private void checkExtension(String line) {
            List<String> numbers = List.of(
                    "ext 0",
                    "VFIO_TYPE1_IOMMU",
                    "VFIO_SPAPR_TCE_IOMMU",
                    "VFIO_TYPE1v2_IOMMU",
                    "VFIO_DMA_CC_IOMMU",
                    "VFIO_EEH",
                    "VFIO_TYPE1_NESTING_IOMMU",
                    "VFIO_SPAPR_TCE_v2_IOMMU",
                    "VFIO_NOIOMMU_IOMMU",
                    "VFIO_UNMAP_ALL",
                    "VFIO_UPDATE_VADDR",
                    "ext 11");
            Matcher fields = Pattern.compile("(VFIO_\\w+|ext \\d+)=(\\d)").matcher(line);
            int seen = 0;
            while (fields.find()) {
                String name = fields.group(1);
                boolean removed = name.equals("VFIO_TYPE1_NESTING_IOMMU") || name.equals("VFIO_UPDATE_VADDR");
                int expected = removed ? 0 : Integer.parseInt(fields.group(2));
                int observed = container.checkExtension(numbers.indexOf(name));
                if (observed != expected) {
                    wrong.add(line + " | here " + name + "=" + observed);
                }
                seen++;
            }
            assertThat(seen).isEqualTo(numbers.size());
            compared++;
        }

        private void capability(String line) {
            Matcher available = Pattern.compile("avail(?:=| now | )(\\d+)").matcher(line);
            Matcher range = Pattern.compile("\\[(\\w+)-(\\w+)]").matcher(line);
            if (available.find()) {
                if (container.info().dmaAvailable() != Integer.parseInt(available.group(1))) {
                    wrong.add(line + " | here " + container.info().dmaAvailable());
                }
            } else {
                List<IovaRange> ranges = new ArrayList<>();
                while (range.find()) {
                    ranges.add(new IovaRange(parse(range.group(1)), parse(range.group(2))));
                }
                if (ranges.isEmpty() || !ranges.equals(container.info().iovaRanges())) {
                    wrong.add(line + " | here " + container.info().iovaRanges());
                }
            }
            compared++;
        }

        private static long parse(String number) {
            return number.startsWith("0x")
                    ? Long.parseUnsignedLong(number.substring(2), 16)
                    : Long.parseUnsignedLong(number);
        }
    }
}
