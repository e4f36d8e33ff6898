// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.iommufd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.intel.conformance.IntelMachines;
import org.iommu4j.sim.pcie.ConfigSpaceBuilder;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.vfio.DmaBufRange;
import org.iommu4j.vfio.VfioDeviceFile;
import org.iommu4j.vfio.iommufd.DmaBuf;
import org.iommu4j.vfio.iommufd.IoasCopy;
import org.iommu4j.vfio.iommufd.IoasMap;
import org.iommu4j.vfio.iommufd.IoasMapDmaBuf;
import org.iommu4j.vfio.iommufd.Iommufd;
import org.iommu4j.vfio.iommufd.IommufdAccess;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * One device reaches the memory of another through a dma-buf, until the other takes it away.
 *
 * <p>The memory behind the second device's BAR 0 is a part of the machine's RAM that nothing else uses, so that what
 * the first device reads through the silicon tells where it was translated to.
 */
class DmaBufTest {
    private static final long PAGE = IommufdBench.PAGE;
    private static final long BAR = 0x0f80_0000L;
    private static final long BAR_BYTES = 4L << 20;
    private static final long IOVA = 0x4000_0000L;
    private static final int COMMAND = 4;
    private static final int RW = IoasMap.WRITEABLE | IoasMap.READABLE;
    private static final int FIXED = RW | IoasMap.FIXED_IOVA;

    /** Nothing is there, or the unit refuses. */
    private static final long NOTHING = -1;

    static Stream<MachineDescription> machines() {
        return Stream.of(
                        IommufdBench.named("intel-sc"),
                        IommufdBench.named("intel-mixed"),
                        IommufdBench.named("amd"),
                        IntelMachines.withEverything())
                .map(DmaBufTest::withMemory);
    }

    private static MachineDescription withMemory(MachineDescription machine) {
        ConfigSpaceBuilder config = ConfigSpaceBuilder.endpoint(0x1b36, 0x0101, ConfigSpaceBuilder.CLASS_3D)
                .registers(0, BAR, BAR_BYTES);
        return machine.withFunctions(machine.functions().stream()
                .map(each -> each.address().equals(IommufdBench.SECOND)
                        ? new FunctionDescription(
                                each.address(),
                                each.upstreamBridge(),
                                config.build(),
                                each.unit(),
                                each.externalFacing(),
                                config.barSizes())
                        : each)
                .toList());
    }

    /** Two devices of one iommufd; the first is in an IOAS, the second has memory. */
    private static final class Bench implements EveryFailure.Bench {
        final IommufdBench host;
        final Iommufd iommufd;
        final VfioDeviceFile file;
        final VfioDeviceFile exporter;
        final int ioas;
        DmaBuf buffer;

        Bench(MachineDescription machine) {
            host = new IommufdBench(machine, "7.3", 16);
            for (long at = 0; at < BAR_BYTES; at += PAGE) {
                host.machine.memory(0).store(BAR + at, BAR + at);
            }
            iommufd = host.open();
            file = host.file(host.first);
            exporter = host.file(host.second);
            ioas = iommufd.ioasAlloc(0);
            file.bind(iommufd);
            exporter.bind(iommufd);
            file.attach(ioas);
        }

        void export() {
            buffer = host.second.exportDmaBuf(0, 0, List.of(new DmaBufRange(PAGE, 1023 * PAGE)));
        }

        long map(int flags, long start, long length, long iova) {
            return iommufd.ioasMapFile(new IoasMapDmaBuf(flags, ioas, buffer, start, length, iova));
        }

        void map() {
            map(FIXED, 0, 600 * PAGE, IOVA);
        }

        long read(long iova) {
            return host.read(IommufdBench.FIRST, iova);
        }

        void command(int value) {
            host.second.config().write(COMMAND, 2, value);
        }

        @Override
        public IommufdBench host() {
            return host;
        }

        @Override
        public String state() {
            return read(IOVA) + " " + read(IOVA + 599 * PAGE) + " " + (buffer == null ? "none" : buffer.isRevoked())
                    + " " + iommufd.objects();
        }

        @Override
        public void closeAll() {
            EveryFailure.runAll(List.of(file::close, exporter::close, iommufd::close));
        }
    }

    private static void refused(Errno errno, Runnable call) {
        assertThatExceptionOfType(IommuException.class)
                .isThrownBy(call::run)
                .satisfies(refusal -> assertThat(refusal.errno()).isEqualTo(errno));
    }

    @ParameterizedTest
    @MethodSource("machines")
    void aDeviceReachesAnothersMemory(MachineDescription machine) {
        Bench bench = new Bench(machine);
        bench.export();
        long pinned = bench.host.process.pinned();
        bench.map();
        for (long page : new long[] {0, 1, 511, 512, 599}) {
            assertThat(bench.read(IOVA + page * PAGE)).isEqualTo(BAR + (1 + page) * PAGE);
        }
        assertThat(bench.read(IOVA + 600 * PAGE)).isEqualTo(NOTHING);
        assertThat(bench.host.process.pinned()).isEqualTo(pinned);
        assertThat(bench.host.account.charged()).isZero();
        long anywhere = bench.map(RW, 3 * PAGE, PAGE, 0);
        assertThat(bench.read(anywhere)).isEqualTo(BAR + 4 * PAGE);
        assertThat(bench.iommufd.ioasUnmap(bench.ioas, IOVA, 600 * PAGE)).isEqualTo(600 * PAGE);
        assertThat(bench.read(IOVA)).isEqualTo(NOTHING);
        assertThat(bench.read(anywhere)).isEqualTo(BAR + 4 * PAGE);
        bench.closeAll();
    }

    @ParameterizedTest
    @MethodSource("machines")
    void whatItsOwnerTakesAwayIsGoneForGood(MachineDescription machine) {
        Bench bench = new Bench(machine);
        bench.export();
        bench.map();
        int other = bench.iommufd.ioasAlloc(0);
        bench.iommufd.ioasCopy(new IoasCopy(FIXED, other, bench.ioas, PAGE, 3 * PAGE, IOVA));
        int unused = bench.iommufd.ioasAlloc(0);
        bench.iommufd.ioasCopy(new IoasCopy(FIXED, unused, bench.ioas, PAGE, IOVA, IOVA));
        bench.command(4);
        assertThat(bench.read(IOVA)).isEqualTo(NOTHING);
        refused(Errno.ENODEV, () -> bench.map(FIXED, 0, PAGE, 2 * IOVA));
        bench.command(6);
        assertThat(bench.read(IOVA)).as("it does not come back").isEqualTo(NOTHING);
        for (int each : new int[] {other, unused}) {
            bench.file.attach(each);
            assertThat(bench.read(IOVA)).as("nor elsewhere").isEqualTo(NOTHING);
            assertThat(bench.read(3 * PAGE)).isEqualTo(NOTHING);
        }
        bench.file.attach(bench.ioas);
        refused(Errno.EEXIST, () -> bench.map(FIXED, 0, PAGE, IOVA));
        bench.map(FIXED, 0, PAGE, 2 * IOVA);
        assertThat(bench.read(2 * IOVA)).isEqualTo(BAR + PAGE);
        bench.host.second.reset();
        assertThat(bench.read(2 * IOVA)).as("a reset takes it away, too").isEqualTo(NOTHING);
        bench.map(FIXED, 0, PAGE, 3 * IOVA);
        bench.exporter.close();
        assertThat(bench.read(3 * IOVA)).as("and the last close").isEqualTo(NOTHING);
        refused(Errno.ENODEV, () -> bench.map(FIXED, 0, PAGE, 4 * IOVA));
        assertThat(bench.iommufd.ioasUnmap(bench.ioas, 0, -1L)).isEqualTo(602 * PAGE);
        bench.closeAll();
    }

    @Test
    void aMappingIsRefusedInTheOrderInWhichLinuxLooks() {
        Bench bench = new Bench(withMemory(IommufdBench.named("intel-sc")));
        bench.export();
        long size = bench.buffer.size();
        refused(Errno.EOPNOTSUPP, () -> bench.map(8, 0, 0, -1));
        refused(Errno.EOVERFLOW, () -> bench.map(FIXED, 0, 0, -1));
        refused(Errno.EINVAL, () -> bench.map(FIXED & ~RW, 0, 0, 1));
        refused(Errno.EINVAL, () -> bench.map(FIXED, 0, 0, 1));
        refused(Errno.EOVERFLOW, () -> bench.map(FIXED, -PAGE, 2 * PAGE, 1));
        bench.command(4);
        refused(Errno.EINVAL, () -> bench.map(FIXED, PAGE, size, 1));
        refused(Errno.ENODEV, () -> bench.map(FIXED, 0, size, 1));
        bench.command(6);
        refused(Errno.EINVAL, () -> bench.map(FIXED, 0, size, 1));
        bench.buffer =
                bench.host.second.exportDmaBuf(0, 0, List.of(new DmaBufRange(0, PAGE), new DmaBufRange(PAGE, PAGE)));
        refused(Errno.EOPNOTSUPP, () -> bench.map(FIXED, 0, PAGE, 1));
        bench.command(4);
        refused(Errno.ENODEV, () -> bench.map(FIXED, 0, PAGE, 1));
        bench.closeAll();
    }

    @Test
    void itsAreasAreNeitherUsedByEmulatedDevicesNorTakenOver() {
        Bench bench = new Bench(withMemory(IommufdBench.named("intel-sc")));
        bench.export();
        bench.map();
        refused(Errno.EINVAL, bench.iommufd::ioasChangeProcess);
        IommufdAccess access = bench.iommufd.createAccess((iova, length) -> {}, true);
        access.attach(bench.ioas);
        refused(Errno.EINVAL, () -> access.pinPages(IOVA, PAGE, false));
        refused(Errno.EINVAL, () -> access.readWrite(bench.host.machine.memory(0), IOVA, new long[1], false));
        access.close();
        assertThat(bench.read(IOVA)).isEqualTo(BAR + PAGE);
        bench.closeAll();
    }

    @Test
    void everyCallCanFailAnywhere() {
        MachineDescription machine = withMemory(IntelMachines.withEverything());
        assertThat(EveryFailure.changesNothing(
                        "map", () -> new Bench(machine), EveryFailure.prepared(Bench::export, Bench::map)))
                .isPositive();
        assertThat(EveryFailure.goes(
                        "revoke",
                        () -> new Bench(machine),
                        EveryFailure.prepared(
                                bench -> {
                                    bench.export();
                                    bench.map();
                                },
                                bench -> bench.command(4))))
                .isPositive();
        assertThat(EveryFailure.goes(
                        "close",
                        () -> new Bench(machine),
                        EveryFailure.prepared(
                                bench -> {
                                    bench.export();
                                    bench.map();
                                },
                                bench -> bench.exporter.close())))
                .isPositive();
    }

    /** Random maps, unmaps and revocations beside a model: what was mapped since the last revocation is there. */
    @ParameterizedTest
    @MethodSource("machines")
    void randomRevocationsLeaveWhatTheModelSays(MachineDescription machine) {
        long seed = Long.getLong("iommu4j.seed", System.nanoTime());
        Random random = new Random(seed);
        Bench bench = new Bench(machine);
        bench.export();
        long[] expected = new long[16];
        boolean[] area = new boolean[expected.length];
        boolean answers = true;
        List<String> steps = new ArrayList<>();
        for (int step = 0; step < 300; step++) {
            int slot = random.nextInt(expected.length);
            long iova = IOVA + slot * PAGE;
            switch (random.nextInt(6)) {
                case 0, 1, 2 -> {
                    long start = random.nextInt(1000) * PAGE;
                    steps.add("map " + slot);
                    if (!answers) {
                        refused(Errno.ENODEV, () -> bench.map(FIXED, start, PAGE, iova));
                    } else if (area[slot]) {
                        refused(Errno.EEXIST, () -> bench.map(FIXED, start, PAGE, iova));
                    } else {
                        bench.map(FIXED, start, PAGE, iova);
                        area[slot] = true;
                        expected[slot] = BAR + PAGE + start;
                    }
                }
                case 3 -> {
                    steps.add("unmap " + slot);
                    if (area[slot]) {
                        bench.iommufd.ioasUnmap(bench.ioas, iova, PAGE);
                    }
                    area[slot] = false;
                    expected[slot] = 0;
                }
                case 4 -> {
                    answers = random.nextBoolean();
                    steps.add("memory " + answers);
                    bench.command(answers ? 6 : 4);
                    if (!answers) {
                        expected = new long[expected.length];
                    }
                }
                default -> {
                    steps.add("reattach");
                    bench.file.detach();
                    bench.file.attach(bench.ioas);
                }
            }
            for (int i = 0; i < expected.length; i++) {
                assertThat(bench.read(IOVA + i * PAGE))
                        .as("seed %d, slot %d after %s", seed, i, steps)
                        .isEqualTo(expected[i] == 0 ? NOTHING : expected[i]);
            }
        }
        bench.closeAll();
    }
}
