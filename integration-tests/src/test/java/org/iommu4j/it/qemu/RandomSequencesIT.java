// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.qemu;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.stream.Stream;
import org.iommu4j.LinuxRelease;
import org.iommu4j.pci.PciAddress;
import org.junit.jupiter.api.TestReporter;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Random sequences on QEMU and on hardware-sim.
 *
 * <p>{@code -Diommu4j.seed=N} replays one, {@code -Diommu4j.qemu.checks=N} asks for more DMAs than the 2,500 of all
 * machines together.
 */
@OnEachQemu
class RandomSequencesIT {
    private static final int DEFAULT_CHECKS = 2_500;
    private static final List<PciAddress> ALL = List.of(Hardware.FIRST, Hardware.SECOND, Hardware.BELOW);

    /** QEMU 7.2 and 10.0 know a device below a bridge of an AMD machine by a wrong id. */
    private static final List<PciAddress> ON_ROOT_BUS = List.of(Hardware.FIRST, Hardware.SECOND);

    private final QemuLab lab;

    RandomSequencesIT(QemuLab lab) {
        this.lab = lab;
    }

    static Stream<Arguments> machines() {
        return Stream.of(
                Arguments.of(new IntelHardware("aw-bits=39,snoop-control=on"), false, ALL),
                Arguments.of(new IntelHardware("aw-bits=48"), true, ALL),
                Arguments.of(new IntelHardware("aw-bits=48,caching-mode=on"), false, ALL),
                Arguments.of(new IntelHardware("x-scalable-mode=on,snoop-control=on"), false, ALL),
                Arguments.of(IntelHardware.firstStage("snoop-control=on"), false, ALL),
                Arguments.of(new AmdHardware(), false, ON_ROOT_BUS),
                Arguments.of(new AmdHardware(), true, ON_ROOT_BUS));
    }

    @ParameterizedTest(name = "{0}, caches {1}")
    @MethodSource("machines")
    void theSameStepsHaveTheSameOutcomes(
            Hardware hardware, boolean caches, List<PciAddress> devices, TestReporter reporter) {
        long seed = Long.getLong("iommu4j.seed", System.nanoTime());
        int checks = Integer.getInteger("iommu4j.qemu.checks", DEFAULT_CHECKS)
                / (int) machines().count();
        String title = hardware + (caches ? " with caches" : "") + ": -Diommu4j.seed=" + seed;
        long began = System.nanoTime();
        Pair pair = new Pair(lab, hardware, caches, LinuxRelease.NEWEST, title);
        new RandomSequence(pair, seed, devices).run(checks);
        assertThat(pair.checks()).isGreaterThanOrEqualTo(checks);
        assertThat(pair.granted()).as("DMAs that were granted").isGreaterThan(checks / 20);
        reporter.publishEntry(
                title,
                String.format(
                        "%d DMAs compared with %s in %.1f s, %d granted; %d refusals that QEMU did not report",
                        pair.checks(),
                        lab.qemu(),
                        (System.nanoTime() - began) / 1e9,
                        pair.granted(),
                        pair.unreported()));
    }
}
