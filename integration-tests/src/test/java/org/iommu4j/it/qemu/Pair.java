// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.qemu;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Function;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.pci.PciAddress;

/**
 * The same driver on QEMU and on hardware-sim, taking the same steps, with the answers compared after each.
 *
 * <p>What a step is refused with is an answer too. A disagreement fails with the last steps and their answers.
 */
final class Pair {
    private static final int LAST_STEPS = 40;
    private static final long PAGE = 4096;

    private final QemuMachine emulated;
    private final Rig qemu;
    private final Rig sim;
    private final Qemu binary;
    private final Hardware hardware;
    private final boolean faultsReported;
    private final String title;
    private final Deque<String> log = new ArrayDeque<>();
    private int step;
    private int checks;
    private int unreported;
    private int granted;

    /**
     * Starts both machines and opens the driver on both.
     *
     * @param caches whether hardware-sim has CPU caches in front of memory
     * @param title what is told with every failure, for example how to replay
     */
    Pair(QemuLab lab, Hardware hardware, boolean caches, LinuxRelease release, String title) {
        this.title = title;
        this.binary = lab.qemu();
        this.hardware = hardware;
        this.faultsReported = hardware.reportsFaults(binary);
        emulated = new QemuMachine(lab, hardware);
        qemu = new Rig(emulated, release);
        sim = new Rig(new SimulatedMachine(emulated.description(), caches), release);
    }

    Rig qemu() {
        return qemu;
    }

    Rig sim() {
        return sim;
    }

    /** Returns how many DMAs were compared. */
    int checks() {
        return checks;
    }

    /** Returns how many of them were granted in full. */
    int granted() {
        return granted;
    }

    /** Returns how many refusals QEMU knew by heart and therefore did not report. */
    int unreported() {
        return unreported;
    }

    /** Takes a step on both and returns the answer that both gave. */
    <R> R both(String what, Function<Rig, R> action) {
        Answer<R> expected = answer(sim, action);
        Answer<R> actual = answer(qemu, action);
        record(what, expected, actual);
        if (!actual.equals(expected)) {
            throw disagreement();
        }
        if (expected.refusal() != null) {
            return null;
        }
        return expected.value();
    }

    /** Takes a step on both and asserts what both answer. */
    <R> void expect(String what, R expected, Function<Rig, R> action) {
        R given = both(what, action);
        assertThat(given).as("%s: %s", title, what).isEqualTo(expected);
    }

    /** Takes a step on both that answers nothing but a refusal; returns whether it was not refused. */
    boolean doBoth(String what, Consumer<Rig> action) {
        return Boolean.TRUE.equals(both(what, rig -> {
            action.accept(rig);
            return true;
        }));
    }

    /** Has a device read on both, and compares what it got and what was reported. */
    Rig.Outcome read(PciAddress device, long iova, int words) {
        return compare(
                device,
                "read " + words + " words by " + device + " at 0x" + Long.toHexString(iova),
                rig -> rig.read(device, iova, words));
    }

    /** Has a device write on both, and compares what is then in memory and what was reported. */
    Rig.Outcome write(PciAddress device, int slot, long iova, int words, List<Long> looked) {
        return compare(
                device,
                "write " + words + " words of slot " + slot + " by " + device + " at 0x" + Long.toHexString(iova),
                rig -> rig.write(device, slot, iova, words, looked));
    }

    // ---- steps and assertions that several tests share
    // ---------------------------------------------------------------

    /** Makes a domain for the first device and attaches it. */
    void attachFirst() {
        doBoth("domain", rig -> rig.newDomain(Hardware.FIRST));
        attach(0, Hardware.FIRST);
    }

    /** Attaches a device to a domain, which must not be refused. */
    void attach(int domain, PciAddress device) {
        expect("attach " + device + " to domain " + domain, true, rig -> rig.attach(domain, device));
    }

    /** Maps a page in the first domain, which must not be refused. */
    void map(long iova, long physicalAddress, long pageSize, int prot) {
        assertThat(doBoth(
                        "map 0x" + Long.toHexString(iova), rig -> rig.map(0, iova, physicalAddress, pageSize, 1, prot)))
                .isTrue();
    }

    /** Asserts that a device reads and writes a place through an IOVA, on both. */
    void assertReaches(PciAddress device, long iova, long physicalAddress) {
        code(physicalAddress);
        assertThat(read(device, iova, 2))
                .isEqualTo(new Rig.Outcome(
                        List.of(Rig.coded(physicalAddress), Rig.coded(physicalAddress) + 8), List.of()));
        assertThat(write(device, 3, iova, 1, List.of(physicalAddress)))
                .isEqualTo(new Rig.Outcome(List.of(Rig.pattern(device, 3)), List.of()));
    }

    /** Asserts that a device's read is refused with a reason, on both. */
    void assertReadRefused(PciAddress device, long iova, int reason) {
        assertThat(read(device, iova, 1).faults())
                .containsExactly(new Fault(device.requesterId(), iova & -PAGE, false, reason));
    }

    /** Asserts that a device's write is refused with a reason and arrives nowhere, on both. */
    void assertWriteRefused(PciAddress device, long iova, long mapped, int reason) {
        code(mapped);
        assertThat(write(device, 5, iova, 1, List.of(mapped)))
                .isEqualTo(new Rig.Outcome(
                        List.of(Rig.coded(mapped)),
                        List.of(new Fault(device.requesterId(), iova & -PAGE, true, reason))));
    }

    private void code(long physicalAddress) {
        doBoth("code", rig -> rig.code(physicalAddress & -PAGE, 1));
    }

    private Rig.Outcome compare(PciAddress device, String what, Function<Rig, Rig.Outcome> dma) {
        checks++;
        Answer<Rig.Outcome> expected = answer(sim, dma);
        Answer<Rig.Outcome> actual = answer(qemu, dma);
        record(what, expected, actual);
        if (expected.value() == null || actual.value() == null) {
            throw disagreement();
        }
        if (!expected.value().words().equals(actual.value().words())) {
            throw disagreement();
        }
        List<Fault> reported = actual.value().faults();
        List<Fault> refused = expected.value().faults().stream()
                .map(fault -> hardware.asReported(binary, fault))
                .toList();
        if (!faultsReported) {
            assertThat(reported).as("%s reports nothing", emulated.name()).isEmpty();
        } else if (!reported.equals(refused)) {
            if (!isUnreported(device, refused, reported)) {
                throw disagreement();
            }
            unreported++;
        }
        if (refused.isEmpty()) {
            granted++;
        }
        return expected.value();
    }

    /**
     * Returns whether QEMU kept quiet because it remembers a mapping that does not permit the request; of a transfer
     * that goes on in the next page it may then report that one.
     */
    private boolean isUnreported(PciAddress device, List<Fault> refused, List<Fault> reported) {
        if (refused.size() != 1) {
            return false;
        }
        Fault fault = refused.get(0);
        return hardware.isNotPermitted(binary, fault)
                && sim.translate(device, fault.page()) != IommuDomain.UNMAPPED
                && reported.stream().allMatch(other -> other.page() == fault.page() + 4096);
    }

    /** Compares a frame of memory. */
    void compareFrame(long physicalAddress) {
        assertThat(qemu.machine().words(physicalAddress, 512))
                .as("frame 0x%x, %s; last steps:%n%s", physicalAddress, title, String.join("\n", log))
                .isEqualTo(sim.machine().words(physicalAddress, 512));
    }

    private <R> Answer<R> answer(Rig rig, Function<Rig, R> action) {
        try {
            return new Answer<>(action.apply(rig), null);
        } catch (IommuException e) {
            return new Answer<>(null, e.errno().name());
        } catch (RuntimeException e) {
            throw new IllegalStateException(
                    title + ", step " + step + " on " + rig.machine().name() + "; last steps:\n"
                            + String.join("\n", log),
                    e);
        }
    }

    private void record(String what, Answer<?> expected, Answer<?> actual) {
        if (log.size() == LAST_STEPS) {
            log.removeFirst();
        }
        log.addLast(String.format(
                "%5d %s -> %s", step++, what, actual.equals(expected) ? expected : expected + ", but QEMU " + actual));
    }

    private AssertionError disagreement() {
        List<String> lines = new ArrayList<>(log);
        return new AssertionError(title + ": hardware-sim and " + emulated.name()
                + " disagree in the last of these steps:\n" + String.join("\n", lines));
    }

    private record Answer<R>(R value, String refusal) {
        @Override
        public String toString() {
            return refusal != null ? refusal : String.valueOf(value);
        }
    }
}
