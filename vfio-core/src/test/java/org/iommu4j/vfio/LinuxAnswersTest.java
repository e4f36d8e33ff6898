// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.function.LongSupplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.ReservedRegion;
import org.iommu4j.vfio.testvendor.TestDevice;
import org.iommu4j.vfio.testvendor.TestHost;
import org.iommu4j.vfio.testvendor.TestProcess;
import org.iommu4j.vfio.type1.IovaRange;
import org.iommu4j.witness.NeedsSharedData;
import org.iommu4j.witness.SharedData;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Replays what a program asked a real Linux, call by call, and compares every answer, under the rules of the same
 * release and, of 6.1, under those of 7.1.
 *
 * <p>A line of a transcript is compared, or is answered by a {@link Deviation}, or concerns what is not modelled (with
 * the reason). Any other line fails the test. A test double takes the machine's place, so what the machine decides is
 * set by hand. Each replay prints how many answers were compared, and which were overridden or set by hand.
 */
class LinuxAnswersTest {
    private static final LinuxRelease LINUX_6_1 = new LinuxRelease(6, 1);
    private static final LinuxRelease LINUX_7_1 = new LinuxRelease(7, 1);
    private static final Pattern TRANSCRIPT = Pattern.compile("(\\d+\\.\\d+)-(.+)\\.txt");

    /** Transcripts that are not replayed: how their names begin, and why. */
    private static final Map<String, String> NOT_REPLAYED = Map.of(
            "7.3-", "there are no rules of 7.3 yet",
            "sc0.txt", "6.1-sc0.txt is the same run of a later kernel",
            "sc1.txt", "6.1-sc1.txt is the same run of a later kernel",
            "amd.txt", "6.1-amd.txt is the same run of a later kernel");

    /** A kind of answer that is not Linux's here, and why. */
    private enum Deviation {
        /**
         * VFIO_DMA_MAP_FLAG_VADDR is an unknown flag, EINVAL: changing virtual addresses under a mapping is not
         * modelled.
         */
        VADDR_IS_UNKNOWN,
        /** VFIO_UPDATE_VADDR is 0, for the same reason. */
        NO_UPDATE_VADDR,
        /** VFIO_TYPE1_NESTING_IOMMU is 0: there is no nesting container, which 7.1 does not have any more. */
        NO_NESTING,
        /** Wrapping sizes are EOVERFLOW and were EINVAL: 7.1 has the 64-bit overflow checks of late 2025. */
        OVERFLOW_SINCE_7_1,
        /**
         * Where the last page of the address space can be mapped, iova + size is 0, which 6.1 took for below iova: what
         * is unmapped at once is not there when all is unmapped.
         */
        LAST_PAGE_SINCE_7_1
    }

    /** An answer that is not Linux's: how the line begins, and the errno or the number of bytes instead. */
    private record Different(Deviation override, String line, String errno, Long bytes) {}

    private static final List<Different> DIFFERENT = List.of(
            new Different(Deviation.VADDR_IS_UNKNOWN, "MAP flags VADDR (4) alone", "EINVAL", null),
            new Different(Deviation.VADDR_IS_UNKNOWN, "UNMAP flags VADDR (4)", "EINVAL", null));

    private static final List<Different> DIFFERENT_SINCE_7_1 = List.of(
            new Different(Deviation.OVERFLOW_SINCE_7_1, "MAP iova wrap", "EOVERFLOW", null),
            new Different(Deviation.OVERFLOW_SINCE_7_1, "MAP vaddr wrap", "EOVERFLOW", null),
            new Different(Deviation.OVERFLOW_SINCE_7_1, "UNMAP wraparound", "EOVERFLOW", null));

    private static final List<Different> DIFFERENT_SINCE_7_1_TO_THE_LAST_PAGE = List.of(
            new Different(Deviation.LAST_PAGE_SINCE_7_1, "UNMAP top page (nothing there)", null, 0x1000L),
            new Different(Deviation.LAST_PAGE_SINCE_7_1, "UNMAP flags ALL (2) iova=0 size=0", null, 0xd000L));

    /** What the machine decides, which the test double is told. */
    private record Machine(
            long pageSizes,
            long apertureEnd,
            boolean snoopControl,
            boolean isolatedMsi,
            List<ReservedRegion> reserved) {
        private static final List<ReservedRegion> MSI =
                List.of(new ReservedRegion(0xfee00000L, 0xfeefffffL, ReservedRegion.Type.MSI));

        /** Returns the machine of a transcript, as Linux of the transcript's release has it. */
        static Machine of(String name, LinuxRelease release) {
            return switch (name) {
                case "sc0" -> vtd(39, false, true);
                case "sc1", "sc1-cm" -> vtd(39, true, true);
                case "sc1-noir" -> vtd(39, true, false);
                case "sm-slts" -> vtd(48, true, true);
                case "sm-flts" -> vtd(47, true, true);
                case "sm-flts-sc0" -> vtd(47, false, true);
                case "amd" ->
                    new Machine(
                            release.isAtLeast(6, 12) ? 0xf_ff7f_ffff_f000L : 0xffff_ff7f_ffff_f000L,
                            -1L,
                            true,
                            true,
                            List.of(
                                    MSI.get(0),
                                    new ReservedRegion(0xfd00000000L, 0xffffffffffL, ReservedRegion.Type.RESERVED)));
                default -> throw new IllegalArgumentException("nothing is known about machine " + name);
            };
        }

        private static Machine vtd(int width, boolean snoopControl, boolean isolatedMsi) {
            return new Machine(0x4020_1000L, (1L << width) - 1, snoopControl, isolatedMsi, MSI);
        }

        @Override
        public String toString() {
            return String.format(
                    "page sizes 0x%x, addresses to 0x%x, %s snoop control, %s isolated MSI, %d reserved regions",
                    pageSizes, apertureEnd, snoopControl ? "with" : "no", isolatedMsi ? "with" : "no", reserved.size());
        }

        boolean hasWholeAddressSpace() {
            return apertureEnd == -1;
        }
    }

    private static final Map<String, Deviation> EXTENSIONS_LEFT_OUT =
            Map.of("VFIO_TYPE1_NESTING_IOMMU", Deviation.NO_NESTING, "VFIO_UPDATE_VADDR", Deviation.NO_UPDATE_VADDR);

    /** What a line is about that nothing is compared with. */
    private static final Map<String, String> NOT_MODELLED = new LinkedHashMap<>();

    static {
        NOT_MODELLED.put("^(BEGIN|END)-VFIO|^# |^VFIO-TRUTH-DONE|^Linux |^console=|^device |^$", "frame of the log");
        NOT_MODELLED.put("^qemu-system|^madvise", "the emulator's own messages");
        NOT_MODELLED.put("^GET_API_VERSION|^GET_INFO argsz=|argsz too small", "sizes of C structures");
        NOT_MODELLED.put("^SET_CONTAINER (bad fd|/dev/null)", "file descriptors of other kinds");
        NOT_MODELLED.put("cap MIGRATION|^DIRTY_PAGES", "dirty tracking");
        NOT_MODELLED.put(
                "DEVICE_GET_INFO|config region|PCI command|BAR0 size|^rw page:|^write (to|after)|^device of 2nd",
                "regions and DMA of the device");
    }

    private static final Pattern CALL =
            Pattern.compile("(MAP|UNMAP) +(.*?) +iova=(\\w+) size=(\\w+) flags=(\\w+) argsz=(\\d+) -> (-1 (\\w+)|0 0)"
                    + "(?: size_out=(\\w+))?");
    private static final Pattern ANSWER = Pattern.compile("(.*?) -> (?:(-1) (\\w+)|(?:fd )?0(?: 0)?)((?: .*)?)");

    static Stream<Arguments> replays() {
        List<Arguments> replays = new ArrayList<>();
        for (Path file : SharedData.files("linux/vfio", ".txt")) {
            String name = file.getFileName().toString();
            Optional<String> why = NOT_REPLAYED.entrySet().stream()
                    .filter(entry -> name.startsWith(entry.getKey()))
                    .map(Map.Entry::getValue)
                    .findFirst();
            if (why.isPresent()) {
                System.out.println(name + " is not replayed: " + why.get());
                continue;
            }
            Matcher transcript = TRANSCRIPT.matcher(name);
            assertThat(transcript.matches())
                    .as("%s is a transcript RELEASE-MACHINE.txt", name)
                    .isTrue();
            LinuxRelease release = LinuxRelease.named(transcript.group(1));
            Machine machine = Machine.of(transcript.group(2), release);
            replays.add(Arguments.of(name, file, machine, release));
            if (release.equals(LINUX_6_1)) {
                replays.add(Arguments.of(name, file, machine, LINUX_7_1));
            }
        }
        return replays.stream();
    }

    @ParameterizedTest(name = "{0} under {3}")
    @MethodSource("replays")
    @NeedsSharedData("linux/vfio")
    void theAnswersAreThoseOfLinux(String name, Path file, Machine machine, LinuxRelease release) throws IOException {
        Replay replay = new Replay(machine, release);
        for (String line : Files.readAllLines(file)) {
            replay.line(line.stripTrailing());
        }
        System.out.printf("%s under %s: %s%n", name, release, replay);
        assertThat(replay.wrong).isEmpty();
        assertThat(replay.compared).isGreaterThanOrEqualTo(237);
        assertThat(replay.overridden).isEqualTo(overrides(machine, release));
    }

    private static Map<Deviation, Integer> overrides(Machine machine, LinuxRelease release) {
        if (!machine.isolatedMsi()) {
            return Map.of(Deviation.NO_NESTING, 6); // all calls about mappings are refused alike
        }
        Map<Deviation, Integer> expected = new EnumMap<>(
                Map.of(Deviation.VADDR_IS_UNKNOWN, 4, Deviation.NO_UPDATE_VADDR, 3, Deviation.NO_NESTING, 7));
        if (release.equals(LINUX_7_1)) {
            expected.put(Deviation.OVERFLOW_SINCE_7_1, 6);
            if (machine.hasWholeAddressSpace()) {
                expected.put(Deviation.LAST_PAGE_SINCE_7_1, 4);
            }
        }
        return expected;
    }

    private static final class Replay {
        private static final long BUFFER = 0x7f00_0000_0000L;
        private static final long READ_ONLY = 0x7f10_0000_0000L;
        private static final long HOLE = 0x7f20_0000_0000L;
        private static final long HUGE = 0x7f30_0000_0000L;

        private final Machine machine;
        private final VfioOptions options;
        private final List<Different> differences = new ArrayList<>();
        private final Map<Deviation, Integer> overridden = new EnumMap<>(Deviation.class);
        private final List<String> wrong = new ArrayList<>();
        private int compared;
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

        Replay(Machine machine, LinuxRelease release) {
            this.machine = machine;
            options = VfioOptions.DEFAULT.withRelease(release);
            if (machine.isolatedMsi()) {
                differences.addAll(DIFFERENT);
            } // else no call about a mapping gets as far
            if (machine.isolatedMsi() && release.equals(LINUX_7_1)) {
                differences.addAll(DIFFERENT_SINCE_7_1);
            }
            if (machine.hasWholeAddressSpace() && release.equals(LINUX_7_1)) {
                differences.addAll(DIFFERENT_SINCE_7_1_TO_THE_LAST_PAGE);
            }
            freshHost(options);
            container = host.vfio().openContainer(process(Long.MAX_VALUE));
        }

        private void freshHost(VfioOptions chosen) {
            host = new TestHost().with(chosen);
            host.iommu.pageSizes = machine.pageSizes();
            device1 = device("00:05.0", false);
            device2 = device("00:0b.0", false);
            device3 = device("00:0c.0", true);
            TestDevice sister = device("00:0c.1", true);
            if (!machine.hasWholeAddressSpace()) {
                // On the Intel machines a driver has it.
                host.core().group(sister.id()).orElseThrow().useDefaultDomain(sister);
            }
        }

        private TestDevice device(String address, boolean multiFunction) {
            TestDevice device = host.add(address, multiFunction);
            device.snoopControl = machine.snoopControl();
            device.isolatedMsi = machine.isolatedMsi();
            device.apertureEnd = machine.apertureEnd();
            device.reservedRegions = machine.reserved();
            return device;
        }

        @Override
        public String toString() {
            int overrides =
                    overridden.values().stream().mapToInt(Integer::intValue).sum();
            return compared + " answers compared, " + overrides + " overridden " + overridden + ", " + notModelled
                    + " lines of what is not modelled; by hand: " + machine;
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
                answer(line, "1st group SET_CONTAINER again -> 0 0; SET_IOMMU again", lastErrno(line), () -> {
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

        private static String lastErrno(String line) {
            Matcher errno = Pattern.compile("-> -1 (\\w+)$").matcher(line);
            return errno.find() ? errno.group(1) : null;
        }

        private void section(String line) {
            if (line.startsWith("-- RLIMIT")) {
                moveTo(host.vfio().openContainer(process(64)));
            } else if (line.startsWith("-- EDU")) {
                moveTo(host.vfio().openContainer(process(Long.MAX_VALUE)));
                if (machine.isolatedMsi()) {
                    open = group1.openDevice(device1.id());
                }
            } else if (line.startsWith("==== second container")) {
                answer(line, line, lastErrno(line), () -> {
                    type = VfioExtension.TYPE1_IOMMU;
                    container.setIommu(type);
                    return 0;
                });
            } else if (line.startsWith("==== dma_entry_limit")) {
                freshHost(options.withDmaEntryLimit(4));
                container = host.vfio().openContainer(process(Long.MAX_VALUE));
                host.openGroupOf(device1).setContainer(container);
                giveIommu(container);
            } else if (line.startsWith("==== two groups")) {
                freshHost(options);
                group1 = host.openGroupOf(device1);
                container = host.vfio().openContainer(process(Long.MAX_VALUE));
                group1.setContainer(container);
                giveIommu(container);
                group2 = host.openGroupOf(device2);
            } else if (line.startsWith("==== group 8")) {
                container = host.vfio().openContainer(process(Long.MAX_VALUE));
            }
        }

        private void closeDevice(VfioGroup group) {
            if (open != null) {
                group.closeDevice(open);
                open = null;
            }
        }

        /** What the program did without a line in the log; without isolated interrupts it was refused. */
        private void giveIommu(VfioContainer to) {
            if (machine.isolatedMsi()) {
                to.setIommu(type);
            }
        }

        /** The log's child process has a limit of its own; here a container has one process, so it gets its own. */
        private void moveTo(VfioContainer next) {
            closeDevice(group1);
            group1.unsetContainer();
            group1.setContainer(next);
            giveIommu(next);
            container = next;
        }

        private void mapOrUnmap(String line, Matcher call) {
            String label = call.group(2).strip();
            long iova = parse(call.group(3));
            long size = parse(call.group(4));
            int flags = (int) parse(call.group(5));
            String expected = call.group(8);
            String start = call.group(1) + " " + label;
            Different different = differences.stream()
                    .filter(each -> start.startsWith(each.line()))
                    .findFirst()
                    .orElse(null);
            if (call.group(1).equals("MAP")) {
                long virtualAddress = virtualAddress(label);
                compare(line, expected, null, different, () -> {
                    container.map(iova, virtualAddress, size, flags);
                    return 0;
                });
            } else {
                Long bytes = expected != null ? null : Long.valueOf(parse(call.group(9)));
                compare(line, expected, bytes, different, () -> container.unmap(iova, size, flags));
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
                        closeDevice(group1);
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
                        closeDevice(group2);
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
            open = group.openDevice(device.id());
            return 0;
        }

        private static long unset(VfioGroup group) {
            group.unsetContainer();
            return 0;
        }

        private void answer(String line, String call, String expected, LongSupplier action) {
            assertThat(call).isNotEmpty();
            compare(line, expected, null, null, action);
        }

        /** Compares an answer with Linux's, or with the one that is different here. */
        private void compare(
                String line, String linuxErrno, Long linuxBytes, Different different, LongSupplier action) {
            String errno = different == null ? linuxErrno : different.errno();
            Long bytes = different == null ? linuxBytes : different.bytes();
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
            if (!Objects.equals(errno, observed)) {
                wrong.add(line + " | here " + observed);
            }
            if (different == null) {
                compared++;
            } else if (Objects.equals(errno, linuxErrno) && Objects.equals(bytes, linuxBytes)) {
                wrong.add(line + " | needs no override " + different);
            } else {
                overridden.merge(different.override(), 1, Integer::sum);
            }
        }

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
                int expected = Integer.parseInt(fields.group(2));
                Deviation override = EXTENSIONS_LEFT_OUT.get(name);
                if (override != null && expected != 0) {
                    overridden.merge(override, 1, Integer::sum);
                    expected = 0;
                }
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
                if (dmaAvailable() != Integer.parseInt(available.group(1))) {
                    wrong.add(line + " | here " + dmaAvailable());
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

        /** The program printed 0 where there was nothing to print. */
        private int dmaAvailable() {
            try {
                return container.info().dmaAvailable();
            } catch (IommuException e) {
                return 0;
            }
        }

        private static long parse(String number) {
            return number.startsWith("0x")
                    ? Long.parseUnsignedLong(number.substring(2), 16)
                    : Long.parseUnsignedLong(number);
        }
    }
}
