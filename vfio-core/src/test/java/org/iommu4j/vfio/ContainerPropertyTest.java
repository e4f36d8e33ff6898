// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.LongStream;
import org.iommu4j.IommuException;
import org.iommu4j.vfio.testvendor.TestDevice;
import org.iommu4j.vfio.testvendor.TestDomain;
import org.iommu4j.vfio.testvendor.TestHost;
import org.iommu4j.vfio.testvendor.TestProcess;
import org.iommu4j.vfio.type1.DomainState;
import org.iommu4j.vfio.type1.Enforcement;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/**
 * After any series of calls: all domains of a container hold what a plain model holds; VFIO_DMA_CC_IOMMU is 1 if and
 * only if all of them enforce; what is pinned and charged is what is mapped.
 *
 * <p>Each test's name is its seed; {@code -Diommu4j.seed=N} adds one.
 */
class ContainerPropertyTest {
    private static final long PAGE = 4096;
    private static final long MEMORY = 0x10_0000;
    private static final int PAGES = 64;

    @TestFactory
    List<DynamicTest> everyDomainHoldsEveryMapping() {
        return LongStream.concat(LongStream.rangeClosed(1, 40), LongStream.of(Long.getLong("iommu4j.seed", 0)))
                .mapToObj(seed -> DynamicTest.dynamicTest("seed " + seed, () -> new Run(seed).go()))
                .toList();
    }

    private static final class Run {
        private final Random random;
        private final boolean v2;
        private final TestHost host = new TestHost();
        private final List<TestDevice> devices = new ArrayList<>();
        private final List<VfioGroup> groups = new ArrayList<>();
        private final TestProcess process = new TestProcess(200);
        private final VfioContainer container;

        /** The model: mappings by IOVA, each with its virtual address, size and flags. */
        private final TreeMap<Long, long[]> model = new TreeMap<>();

        private int mapped;
        private int unmapped;
        private int moved;

        Run(long seed) {
            random = new Random(seed);
            v2 = random.nextBoolean();
            for (int i = 0; i < 4; i++) {
                TestDevice device = host.add("00:0" + (i + 1) + ".0");
                device.snoopControl = random.nextBoolean();
                device.format = random.nextInt(4) == 0 ? "other" : "test";
                device.refusesForeignDomains = random.nextInt(4) == 0;
                devices.add(device);
            }
            for (int i = 0; i < PAGES; i++) {
                process.place(MEMORY + i * PAGE, 0x100_0000 + (i + i / 5) * PAGE, 1, i % 7 != 3);
            }
            container = host.vfio().openContainer(process);
            for (TestDevice device : devices) {
                groups.add(host.openGroupOf(device));
            }
        }

        void go() {
            for (int step = 0; step < 300; step++) {
                switch (random.nextInt(8)) {
                    case 0 -> toggleGroup();
                    case 1, 2 -> unmap();
                    case 3 -> {
                        if (random.nextInt(10) == 0) {
                            unmapAll();
                        }
                    }
                    default -> map();
                }
                check();
            }
            assertThat(mapped).as("maps that succeeded").isGreaterThan(10);
            assertThat(unmapped).as("unmaps that succeeded").isGreaterThan(5);
            assertThat(moved).as("groups moved").isGreaterThan(10);
            for (VfioGroup group : groups) {
                group.close();
            }
            assertThat(process.pinned()).isZero();
            assertThat(process.charged()).isZero();
            assertThat(host.iommu.pagingDomains()).isZero();
        }

        private boolean hasIommu() {
            return !container.domains().isEmpty();
        }

        private void toggleGroup() {
            VfioGroup group = groups.get(random.nextInt(groups.size()));
            if (group.containerSet()) {
                group.unsetContainer();
            } else {
                group.setContainer(container);
                if (!hasIommu()) {
                    container.setIommu(v2 ? VfioExtension.TYPE1V2_IOMMU : VfioExtension.TYPE1_IOMMU);
                }
            }
            if (!hasIommu()) {
                model.clear();
            }
            moved++;
        }

        private void map() {
            long iova = random.nextInt(100) * PAGE;
            int first = random.nextInt(PAGES);
            long size = (1 + random.nextInt(6)) * PAGE;
            int flags = 1 + random.nextInt(3);
            long virtualAddress = MEMORY + first * PAGE;
            IommuException refusal =
                    catchThrowableOfType(IommuException.class, () -> container.map(iova, virtualAddress, size, flags));
            if (refusal == null) {
                assertThat(overlaps(iova, size)).isFalse();
                model.put(iova, new long[] {virtualAddress, size, flags});
                mapped++;
            } else if (hasIommu() && !overlaps(iova, size)) {
                assertThat(refusal.errno().name()).isIn("EFAULT", "ENOMEM");
            }
        }

        private boolean overlaps(long iova, long size) {
            return model.entrySet().stream()
                    .anyMatch(entry -> entry.getKey() < iova + size && iova < entry.getKey() + entry.getValue()[1]);
        }

        private void unmap() {
            long iova = random.nextInt(100) * PAGE;
            long size = (1 + random.nextInt(12)) * PAGE;
            long expected = 0;
            boolean cuts = false;
            TreeMap<Long, long[]> after = new TreeMap<>(model);
            for (var entry : model.entrySet()) {
                long start = entry.getKey();
                long end = start + entry.getValue()[1];
                if (start < iova && end > iova) {
                    cuts = true;
                }
                if (start < iova + size && end > iova + size) {
                    cuts |= v2;
                }
                if (start >= iova && start < iova + size) {
                    after.remove(start);
                    expected += entry.getValue()[1];
                }
            }
            if (!hasIommu()) {
                assertThat(catchThrowableOfType(IommuException.class, () -> container.unmap(iova, size, 0)))
                        .isNotNull();
            } else if (cuts && v2) {
                assertThat(catchThrowableOfType(IommuException.class, () -> container.unmap(iova, size, 0)))
                        .isNotNull();
            } else if (cuts) {
                assertThat(container.unmap(iova, size, 0)).isZero();
            } else {
                assertThat(container.unmap(iova, size, 0)).isEqualTo(expected);
                model.clear();
                model.putAll(after);
                unmapped++;
            }
        }

        private void unmapAll() {
            if (hasIommu()) {
                long expected =
                        model.values().stream().mapToLong(entry -> entry[1]).sum();
                assertThat(container.unmap(0, 0, VfioContainer.UNMAP_ALL)).isEqualTo(expected);
                model.clear();
            }
        }

        private void check() {
            TreeMap<Long, String> expected = new TreeMap<>();
            model.forEach((iova, entry) -> {
                for (long at = 0; at < entry[1]; at += PAGE) {
                    long frame = process.translate(entry[0] + at);
                    expected.put(iova + at, Long.toHexString(frame) + "/" + (entry[2] | 4));
                }
            });
            boolean allEnforced = true;
            for (DomainState state : container.domains()) {
                assertThat(((TestDomain) state.domain()).pages()).isEqualTo(expected);
                boolean capable = state.devices().stream().allMatch(address -> host.iommu.device(address).snoopControl);
                assertThat(state.enforcement()).isEqualTo(capable ? Enforcement.ENFORCED : Enforcement.REFUSED);
                allEnforced &= state.enforcement() == Enforcement.ENFORCED;
            }
            assertThat(container.checkExtension(VfioExtension.DMA_CC_IOMMU))
                    .isEqualTo(hasIommu() && allEnforced ? 1 : 0);
            assertThat(process.pinned()).isEqualTo(expected.size());
            assertThat(process.charged()).isEqualTo(expected.size());
            assertThat(host.iommu.pagingDomains()).isEqualTo(container.domains().size());
        }
    }
}
