// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.it.domain.ContainerFailureTest.errnoOf;
import static org.iommu4j.it.domain.ScalableMachines.CAP;
import static org.iommu4j.it.domain.ScalableMachines.ECAP;
import static org.iommu4j.it.domain.ScalableMachines.FIRST_STAGE;
import static org.iommu4j.it.domain.ScalableMachines.SECOND_STAGE;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.LongStream;
import org.iommu4j.Errno;
import org.iommu4j.LinuxRelease;
import org.iommu4j.core.IommuCore;
import org.iommu4j.kvm.KvmOptions;
import org.iommu4j.kvm.KvmVfioDevice;
import org.iommu4j.kvm.VirtualMachine;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.sim.machine.UserProcess;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.vtd.VtdUnitProvider;
import org.iommu4j.vfio.Vfio;
import org.iommu4j.vfio.VfioContainer;
import org.iommu4j.vfio.VfioExtension;
import org.iommu4j.vfio.VfioGroup;
import org.iommu4j.vfio.VfioOptions;
import org.iommu4j.vfio.type1.DirtyPages;
import org.iommu4j.vfio.type1.DmaUnmap;
import org.iommu4j.vfio.type1.DomainState;
import org.iommu4j.vfio.type1.Enforcement;
import org.iommu4j.vfio.type1.VfioBitmap;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/**
 * After any series of calls: each answer of a container is that of a plain model of intervals, its devices reach what
 * the model maps and nothing else, what is pinned and charged is what is mapped, and {@link CoherenceInvariants} hold.
 *
 * <p>Each test's name has its seed; {@code -Diommu4j.seed=N} adds one.
 */
class ContainerOnSiliconTest {
    private static final int STEPS = 250;
    private static final long PAGE = 4096;
    private static final int LIMIT = 24;
    private static final long MSI = 0xfee0_0000L;

    /** The addresses that are mapped: below, across and above the second boundary of 2 MiB. */
    private static final long IOVA = 0x4000_0000L;

    private static final int IOVA_PAGES = 1536;

    /** A process's memory: pages that can be written, that can't, none, and registers of a device. */
    private static final long MEMORY = 0x7f00_0000_0000L;

    private static final int WRITABLE = 1200;
    private static final int READABLE = 8;
    private static final int ABSENT = 4;
    private static final int REGISTERS = 8;
    private static final int ALL = WRITABLE + READABLE + ABSENT + REGISTERS;
    private static final long REGISTER_BASE = 0xf000_0000L;

    private static final int CHILDS_LIMIT = 300;

    @TestFactory
    List<DynamicTest> aContainerIsItsModel() {
        List<Configuration> configurations = List.of(
                IntelConfigurations.of("SC", VtdUnitProvider.CAP_4_LEVEL, VtdUnitProvider.ECAP_SNOOP_CONTROL),
                IntelConfigurations.of(
                        "caching mode, no SC, non-coherent walk",
                        VtdUnitProvider.CAP_4_LEVEL | VtdUnitProvider.CAP_CM,
                        VtdUnitProvider.ECAP_NO_SNOOP_CONTROL & ~1),
                ScalableMachines.of("first stage", CAP, ECAP | FIRST_STAGE),
                ScalableMachines.twoUnits(CAP, ECAP | SECOND_STAGE, CAP, (ECAP | SECOND_STAGE) & ~(1L << 7)),
                ScalableMachines.twoUnits(CAP, ECAP | FIRST_STAGE, CAP, ECAP | SECOND_STAGE),
                AmdConfigurations.configurations().get(0));
        List<String> releases = List.of("5.18", "6.1", "6.17", "7.3");
        List<DynamicTest> tests = new ArrayList<>();
        LongStream.concat(LongStream.rangeClosed(1, 24), LongStream.of(Long.getLong("iommu4j.seed", 0)))
                .forEach(seed -> {
                    Configuration configuration =
                            configurations.get((int) Math.floorMod(seed, (long) configurations.size()));
                    LinuxRelease release = LinuxRelease.named(releases.get(new Random(seed).nextInt(releases.size())));
                    tests.add(DynamicTest.dynamicTest(
                            configuration + ", Linux " + release + ", seed " + seed,
                            () -> new Run(configuration.flat(), release, seed).go()));
                });
        return tests;
    }

    /** A mapping of the model, with the frames that were pinned for it. */
    private static final class Mapping {
        final long iova;
        final int flags;
        final UserProcess pinner;
        final long[] frames;
        UserProcess charged;
        boolean invalid;

        /** The bits of its pages, and behind them what earlier answers shifted there. */
        BigInteger written = BigInteger.ZERO;

        Mapping(long iova, int flags, UserProcess process, long[] frames) {
            this.iova = iova;
            this.flags = flags;
            this.pinner = process;
            this.charged = process;
            this.frames = frames;
        }

        long size() {
            return frames.length * PAGE;
        }

        long end() {
            return iova + size();
        }

        long ram() {
            return Arrays.stream(frames).filter(frame -> !isRegister(frame)).count();
        }

        static boolean isRegister(long frame) {
            return frame >= REGISTER_BASE;
        }
    }

    private static final class Run {
        private final Random random;
        private final LinuxRelease release;
        private final boolean v2;
        private final Bench bench;
        private final UserProcess root;
        private final UserProcess child;
        private final VfioContainer container;
        private final Map<PciAddress, VfioGroup> groups = new HashMap<>();
        private final NavigableMap<Long, Mapping> model = new TreeMap<>();
        private final CoherenceInvariants invariants;
        private final VirtualMachine machine;
        private final KvmVfioDevice kvm;
        private final Set<VfioGroup> files = new LinkedHashSet<>();
        private final Map<Errno, Integer> refusals = new EnumMap<>(Errno.class);
        private boolean tracking;
        private int succeeded;

        Run(Configuration configuration, LinuxRelease release, long seed) {
            random = new Random(seed);
            this.release = release;
            v2 = random.nextInt(4) != 0;
            bench = new Bench(configuration, release);
            IommuCore core = IommuCore.open(bench.iommu(), bench.machine().topology());
            Vfio vfio = new Vfio(core, new VfioOptions(release, true, LIMIT));
            root = process(Long.MAX_VALUE >> 12, true);
            child = process(CHILDS_LIMIT, false);
            container = vfio.openContainer(root);
            for (PciAddress address : List.of(Bench.DEVICE, Bench.SECOND)) {
                groups.put(address, vfio.openGroup(vfio.register(address).groupId()));
            }
            // Type 1 asks its domains while they are empty, and does not share a promise: it has none of the holes.
            invariants = new CoherenceInvariants(
                    bench.machine(),
                    bench.iommu().vendor().equals("intel")
                            ? CoherenceInvariants.withoutSnoopControl(bench.machine(), groups.keySet())
                            : Set.of(),
                    Set.of());
            machine = new VirtualMachine(root, bench.machine().processors(), KvmOptions.DEFAULT.withRelease(release));
            kvm = machine.createVfioDevice();
        }

        private UserProcess process(long limit, boolean capIpcLock) {
            UserProcess process = bench.machine().newProcess(limit, capIpcLock);
            // Not all of a piece, so that runs end within mappings.
            process.allocate(MEMORY, 512, true);
            process.allocate(MEMORY + 513 * PAGE, 1, true);
            process.allocate(MEMORY + 512 * PAGE, 1, true);
            process.allocate(MEMORY + 514 * PAGE, WRITABLE - 514, true);
            process.allocate(MEMORY + WRITABLE * PAGE, READABLE, false);
            process.mapRegisters(MEMORY + (ALL - REGISTERS) * PAGE, REGISTER_BASE, REGISTERS, true);
            return process;
        }

        void go() {
            for (int step = 0; step < STEPS; step++) {
                switch (random.nextInt(16)) {
                    case 0, 1 -> toggleGroup();
                    case 2, 3, 4 -> unmap();
                    case 5 -> unmapAll();
                    case 6 -> takeAddressesBack();
                    case 7, 8 -> giveAnAddress();
                    case 9 -> toggleTracking();
                    case 10 -> getBitmap();
                    case 11 -> toggleFile();
                    default -> map();
                }
                check();
            }
            assertThat(succeeded).as("calls that succeeded").isGreaterThan(STEPS / 4);
            assertThat(refusals).as("kinds of refusals").hasSizeGreaterThanOrEqualTo(3);
            kvm.close(); // until then it keeps the groups that it was given
            machine.close();
            groups.values().forEach(VfioGroup::close);
            container.close();
            for (UserProcess process : List.of(root, child)) {
                assertThat(process.pinned()).isZero();
                assertThat(process.charged()).isZero();
            }
        }

        /** Calls, and compares its errno with those that the model allows; none for success. */
        private boolean call(Set<Errno> allowed, Runnable call) {
            Errno errno = errnoOf(call);
            if (errno == null) {
                assertThat(allowed).as("it succeeded").isEmpty();
                succeeded++;
                return true;
            }
            assertThat(errno).isIn(allowed);
            refusals.merge(errno, 1, Integer::sum);
            return false;
        }

        private boolean hasIommu() {
            return groups.values().stream().anyMatch(VfioGroup::containerSet);
        }

        private boolean anyInvalid() {
            return model.values().stream().anyMatch(mapping -> mapping.invalid);
        }

        private void toggleGroup() {
            VfioGroup group = groups.get(random.nextBoolean() ? Bench.DEVICE : Bench.SECOND);
            if (group.containerSet()) {
                group.unsetContainer();
                succeeded++;
                if (!hasIommu()) {
                    model.clear();
                    tracking = false;
                }
                return;
            }
            Set<Errno> allowed = EnumSet.noneOf(Errno.class);
            if (anyInvalid()) {
                allowed.add(Errno.EBUSY);
            }
            boolean first = !hasIommu();
            if (call(allowed, () -> group.setContainer(container)) && first) {
                container.setIommu(v2 ? VfioExtension.TYPE1V2_IOMMU : VfioExtension.TYPE1_IOMMU);
            }
        }

        private void map() {
            UserProcess caller = random.nextInt(3) == 0 ? child : root;
            int flags = 1 + random.nextInt(3);
            int pages = random.nextInt(8) == 0 ? 1 + random.nextInt(600) : 1 + random.nextInt(6);
            boolean aligned = pages >= 512 || random.nextInt(4) == 0;
            int first = aligned ? 0 : random.nextInt(random.nextBoolean() ? WRITABLE : ALL);
            long iova = random.nextInt(30) == 0
                    ? MSI - PAGE
                    : IOVA + (aligned ? random.nextInt(IOVA_PAGES / 512) * 512 : random.nextInt(IOVA_PAGES)) * PAGE;
            long[] frames = new long[pages];
            boolean faults = false;
            for (int i = 0; i < pages; i++) {
                frames[i] = caller.translate(MEMORY + (first + i) * PAGE);
                faults |= frames[i] == -1
                        || ((flags & 2) != 0 && first + i >= WRITABLE && first + i < WRITABLE + READABLE);
            }
            Mapping mapping = new Mapping(iova, flags, caller, frames);
            Set<Errno> allowed = EnumSet.noneOf(Errno.class);
            if (!hasIommu()) {
                allowed.add(Errno.EINVAL);
            } else if (overlaps(iova, mapping.end())) {
                allowed.add(Errno.EEXIST);
            } else if (model.size() == LIMIT) {
                allowed.add(Errno.ENOSPC);
            } else if (iova < MSI + 0x10_0000 && mapping.end() > MSI) {
                allowed.add(Errno.EINVAL);
            } else {
                if (faults) {
                    allowed.add(Errno.EFAULT);
                }
                if (caller == child && child.charged() + mapping.ram() > CHILDS_LIMIT) {
                    allowed.add(Errno.ENOMEM);
                }
            }
            if (call(allowed, () -> container.map(caller, iova, MEMORY + first * PAGE, mapping.size(), flags))) {
                model.put(iova, mapping);
            }
        }

        private boolean overlaps(long start, long end) {
            Map.Entry<Long, Mapping> below = model.lowerEntry(end);
            return below != null && below.getValue().end() > start;
        }

        /** Returns the mappings that an unmap of a range removes. */
        private List<Mapping> within(long start, long end) {
            List<Mapping> within = new ArrayList<>();
            for (Mapping mapping : model.values()) {
                if (mapping.end() <= start || mapping.iova >= end) {
                    continue;
                }
                if (!v2 && mapping.iova < start) {
                    return List.of();
                }
                within.add(mapping);
            }
            return within;
        }

        private boolean cuts(long start, long end) {
            return model.values().stream()
                    .anyMatch(
                            each -> (each.iova < start && each.end() > start) || (each.iova < end && each.end() > end));
        }

        private long randomIova() {
            if (!model.isEmpty() && random.nextInt(3) != 0) {
                List<Long> all = new ArrayList<>(model.keySet());
                return all.get(random.nextInt(all.size()));
            }
            return IOVA + random.nextInt(IOVA_PAGES) * PAGE;
        }

        private long randomSize(long iova) {
            Mapping there = model.get(iova);
            return there != null && random.nextInt(3) != 0
                    ? there.size()
                    : (1 + random.nextInt(random.nextBoolean() ? 8 : 800)) * PAGE;
        }

        private void unmap() {
            long iova = randomIova();
            long size = randomSize(iova);
            boolean cuts = v2 && cuts(iova, iova + size);
            List<Mapping> going = within(iova, iova + size);
            long bytes = going.stream().mapToLong(Mapping::size).sum();
            boolean reports = v2 && random.nextInt(3) == 0;
            Set<Errno> allowed = EnumSet.noneOf(Errno.class);
            if (!hasIommu() || cuts || (reports && !tracking)) {
                allowed.add(Errno.EINVAL);
            }
            long[] bitmap = new long[(int) ((size / PAGE + 63) / 64)];
            long[] unmapped = new long[1];
            boolean done = call(
                    allowed,
                    () -> unmapped[0] = reports
                            ? container.unmap(new DmaUnmap(
                                    DmaUnmap.SIZE_WITH_BITMAP,
                                    VfioContainer.UNMAP_GET_DIRTY_BITMAP,
                                    iova,
                                    size,
                                    new VfioBitmap(PAGE, bitmap)))
                            : container.unmap(iova, size, 0));
            if (done) {
                assertThat(unmapped[0]).isEqualTo(bytes);
                if (reports) {
                    assertThat(bitmap).isEqualTo(written(iova, bitmap.length, going));
                }
                going.forEach(mapping -> model.remove(mapping.iova));
            }
        }

        private void unmapAll() {
            if (random.nextInt(4) != 0) {
                return;
            }
            long bytes = model.values().stream().mapToLong(Mapping::size).sum();
            long[] unmapped = new long[1];
            if (call(
                    hasIommu() ? Set.of() : Set.of(Errno.EINVAL),
                    () -> unmapped[0] = container.unmap(0, 0, VfioContainer.UNMAP_ALL))) {
                assertThat(unmapped[0]).isEqualTo(bytes);
                model.clear();
            }
        }

        private void takeAddressesBack() {
            long iova = randomIova();
            long size = randomSize(iova);
            List<Mapping> losing = within(iova, iova + size);
            boolean refused = !hasIommu()
                    || (v2 && cuts(iova, iova + size))
                    || losing.stream().anyMatch(mapping -> mapping.invalid);
            long bytes = losing.stream().mapToLong(Mapping::size).sum();
            long[] taken = new long[1];
            if (call(
                    refused ? Set.of(Errno.EINVAL) : Set.of(),
                    () -> taken[0] = container.unmap(iova, size, VfioContainer.UNMAP_VADDR))) {
                assertThat(taken[0]).isEqualTo(bytes);
                losing.forEach(mapping -> mapping.invalid = true);
            }
        }

        private void giveAnAddress() {
            List<Mapping> invalid =
                    model.values().stream().filter(mapping -> mapping.invalid).toList();
            long iova = invalid.isEmpty() || random.nextInt(4) == 0
                    ? randomIova()
                    : invalid.get(random.nextInt(invalid.size())).iova;
            Mapping mapping = model.get(iova);
            long size = mapping == null ? PAGE : mapping.size();
            UserProcess caller = random.nextBoolean() ? child : root;
            boolean moves = release.isAtLeast(6, 3);
            Set<Errno> allowed = EnumSet.noneOf(Errno.class);
            if (!hasIommu()) {
                allowed.add(Errno.EINVAL);
            } else if (mapping == null) {
                allowed.add(overlaps(iova, iova + size) ? Errno.EINVAL : Errno.ENOENT);
            } else if (!mapping.invalid) {
                allowed.add(Errno.EINVAL);
            } else if (moves
                    && caller == child
                    && mapping.charged != child
                    && child.charged() + mapping.ram() > CHILDS_LIMIT) {
                allowed.add(Errno.ENOMEM);
            }
            if (call(allowed, () -> container.map(caller, iova, MEMORY, size, VfioContainer.MAP_VADDR))) {
                mapping.invalid = false;
                mapping.charged = moves ? caller : mapping.charged;
            }
        }

        private void toggleTracking() {
            boolean start = random.nextBoolean();
            Set<Errno> allowed = hasIommu() ? v2 ? Set.of() : Set.of(Errno.EACCES) : Set.of(Errno.EINVAL);
            if (call(allowed, () -> container.dirtyPages(DirtyPages.of(start ? DirtyPages.START : DirtyPages.STOP)))) {
                if (start && !tracking) {
                    model.values().forEach(mapping -> mapping.written = BigInteger.ZERO);
                }
                tracking = start;
            }
        }

        private void getBitmap() {
            long iova = randomIova();
            long size = randomSize(iova);
            Set<Errno> allowed = EnumSet.noneOf(Errno.class);
            if (hasIommu() && !v2) {
                allowed.add(Errno.EACCES);
            } else if (!tracking || cuts(iova, iova + size)) {
                allowed.add(Errno.EINVAL);
            }
            long[] bitmap = new long[(int) ((size / PAGE + 63) / 64)];
            if (call(allowed, () -> container.dirtyPages(DirtyPages.of(iova, size, new VfioBitmap(PAGE, bitmap))))) {
                List<Mapping> answered = within(iova, iova + size);
                assertThat(bitmap).isEqualTo(written(iova, bitmap.length, answered));
                answered.forEach(mapping -> mapping.written = mapping.written.andNot(ones(mapping.frames.length)));
            }
        }

        /**
         * While a device is there, all that is mapped counts as written. A mapping's words are shifted to where its
         * first bit goes, and take the bits that the user's first word has.
         */
        private static long[] written(long base, int words, List<Mapping> mappings) {
            BigInteger bitmap = BigInteger.ZERO;
            for (Mapping mapping : mappings) {
                int first = (int) ((mapping.iova - base) / PAGE);
                int shift = first % 64;
                int from = first - shift;
                int bits = (mapping.frames.length + shift + 63) / 64 * 64;
                BigInteger all = mapping.written.or(ones(mapping.frames.length));
                BigInteger moved = all.and(ones(bits)).shiftLeft(shift).and(ones(bits));
                if (shift != 0) {
                    moved = moved.or(bitmap.shiftRight(from).and(ones(64)));
                }
                mapping.written = all.andNot(ones(bits)).or(moved);
                bitmap = bitmap.andNot(ones(bits).shiftLeft(from)).or(moved.shiftLeft(from));
            }
            long[] answer = new long[words];
            for (int i = 0; i < words; i++) {
                answer[i] = bitmap.shiftRight(64 * i).longValue();
            }
            return answer;
        }

        private static BigInteger ones(int count) {
            return BigInteger.ONE.shiftLeft(count).subtract(BigInteger.ONE);
        }

        private void toggleFile() {
            VfioGroup file = groups.get(random.nextBoolean() ? Bench.DEVICE : Bench.SECOND);
            if (files.remove(file)) {
                kvm.deleteFile(file);
            } else {
                files.add(file);
                kvm.addFile(file);
            }
            invariants.filesChanged(
                    files.stream().map(VfioGroup::enforcedCoherent).toList());
        }

        private void checkInvariants() {
            String when = "after " + succeeded + " calls";
            int answer = container.checkExtension(VfioExtension.DMA_CC_IOMMU);
            List<Long> readable = model.values().stream()
                    .filter(mapping -> (mapping.flags & 1) != 0)
                    .map(mapping -> mapping.iova)
                    .toList();
            // Until 5.18 no domain is asked: what the platform's units can is what they do.
            boolean asks = release.isAtLeast(5, 19);
            List<CoherenceInvariants.Attached> attached = container.domains().stream()
                    .map(state -> new CoherenceInvariants.Attached(
                            state.domain(),
                            container,
                            asks ? state.enforcement() == Enforcement.ENFORCED : answer == 1,
                            state.devices().stream().map(PciAddress.class::cast).toList(),
                            readable))
                    .toList();
            invariants.check(when, attached);
            if (!attached.isEmpty()) {
                CoherenceInvariants.checkAnswer(when, answer, attached);
            }
            for (CoherenceInvariants.Attached each : attached) {
                for (PciAddress device : each.devices()) {
                    invariants.checkFile(when, groups.get(device).enforcedCoherent(), each);
                }
            }
            invariants.checkKvm(when, kvm.noncoherent());
        }

        private void check() {
            checkInvariants();
            for (UserProcess process : List.of(root, child)) {
                assertThat(process.pinned())
                        .isEqualTo(model.values().stream()
                                .filter(mapping -> mapping.pinner == process)
                                .mapToLong(Mapping::ram)
                                .sum());
                assertThat(process.charged())
                        .isEqualTo(model.values().stream()
                                .filter(mapping -> mapping.charged == process)
                                .mapToLong(Mapping::ram)
                                .sum());
            }
            if (hasIommu()) {
                assertThat(container.info().dmaAvailable()).isEqualTo(LIMIT - model.size());
            }
            for (Mapping mapping : model.values()) {
                checkPage(mapping, 0);
                checkPage(mapping, mapping.frames.length - 1);
                checkPage(mapping, random.nextInt(mapping.frames.length));
            }
            for (int i = 0; i < 3; i++) {
                long iova = IOVA + random.nextInt(IOVA_PAGES) * PAGE;
                if (!overlaps(iova, iova + PAGE)) {
                    groups.keySet()
                            .forEach(address ->
                                    bench.assertRefused(bench.machine().endpoint(address), iova));
                }
            }
        }

        private void checkPage(Mapping mapping, int page) {
            long iova = mapping.iova + page * PAGE;
            long frame = mapping.frames[page];
            for (DomainState state : container.domains()) {
                assertThat(state.domain().translate(iova)).isEqualTo(frame);
            }
            if (Mapping.isRegister(frame)) {
                return;
            }
            long word = random.nextInt(512) * 8L;
            groups.forEach((address, group) -> {
                Endpoint device = bench.machine().endpoint(address);
                if (!group.containerSet()) {
                    bench.assertRefused(device, iova);
                } else if (mapping.flags == 3) {
                    bench.assertReaches(device, iova + word, frame + word);
                } else {
                    checkRight(device, mapping.flags, iova + word, frame + word);
                }
            });
        }

        /** What may only be read is not written; a table may let be read what may only be written. */
        private void checkRight(Endpoint device, int flags, long iova, long physicalAddress) {
            long value = random.nextLong();
            bench.store(physicalAddress, value);
            if (flags == 1) {
                assertThat(device.read(iova, false)).isEqualTo(value);
                assertThat(device.write(iova, ~value, false)).isFalse();
                assertThat(bench.load(physicalAddress)).isEqualTo(value);
            } else {
                assertThat(device.write(iova, ~value, false)).isTrue();
                assertThat(bench.load(physicalAddress)).isEqualTo(~value);
            }
        }
    }
}
