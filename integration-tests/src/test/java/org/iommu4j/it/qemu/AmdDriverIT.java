// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.qemu;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Optional;
import org.iommu4j.DomainType;
import org.iommu4j.LinuxRelease;
import org.iommu4j.Prot;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.BootOptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The AMD-Vi driver on QEMU's unit and on ours: every step has the same outcome on both.
 *
 * <p>QEMU 7.2 and 10.0 report nothing: a refusal is seen by what a device got, or what is not in memory.
 */
@OnEachQemu
class AmdDriverIT {
    private static final long PAGE = 4096;
    private static final long LARGE_PAGE = 2L << 20;
    private static final long HUGE_PAGE = 1L << 30;
    private static final long IOVA = 0x4000_0000L;
    private static final long LARGE_IOVA = 0x8000_0000L;
    private static final long HUGE_IOVA = 0x1_0000_0000L;
    private static final long TARGET = Rig.TARGET;
    private static final long LARGE_TARGET = TARGET + LARGE_PAGE;

    private static final long ADDRESS = 0x000f_ffff_ffff_f000L;
    private static final long PR = 1;
    private static final long FC = 1L << 60;
    private static final long IR = 1L << 61;
    private static final long IW = 1L << 62;

    private final QemuLab lab;

    private Pair pair;

    AmdDriverIT(QemuLab lab) {
        this.lab = lab;
    }

    @BeforeEach
    void start() {
        pair = new Pair(lab, new AmdHardware(), false, LinuxRelease.NEWEST, "amd-iommu");
    }

    private void assertReaches(PciAddress device, long iova, long physicalAddress) {
        pair.doBoth("code", rig -> rig.code(physicalAddress & -PAGE, 1));
        assertThat(pair.read(device, iova, 2).words())
                .containsExactly(Rig.coded(physicalAddress), Rig.coded(physicalAddress) + 8);
        assertThat(pair.write(device, 3, iova, 1, List.of(physicalAddress)).words())
                .containsExactly(Rig.pattern(device, 3));
    }

    private void assertReadRefused(PciAddress device, long iova) {
        assertThat(pair.read(device, iova, 1).words()).containsExactly(0L);
    }

    private void assertWriteRefused(PciAddress device, long iova, long mapped) {
        pair.doBoth("code", rig -> rig.code(mapped & -PAGE, 1));
        assertThat(pair.write(device, 5, iova, 1, List.of(mapped)).words()).containsExactly(Rig.coded(mapped));
    }

    /** Changes the entry that decides over an IOVA behind the driver's back. */
    private static void change(Rig rig, long iova, long bits) {
        long entry = entry(rig, iova);
        rig.memory().store(entry, rig.memory().load(entry) ^ bits);
    }

    private static long deviceTableEntry(Rig rig, PciAddress device) {
        long table = rig.machine()
                        .registers()
                        .map(AmdHardware.REGISTER_BASE, AmdHardware.REGISTER_BYTES)
                        .read64(0)
                & ADDRESS;
        return table + device.requesterId() * 32L;
    }

    private static long entry(Rig rig, long iova) {
        long entry = rig.memory().load(deviceTableEntry(rig, Hardware.FIRST));
        int level = (int) (entry >>> 9 & 7);
        while (true) {
            long at = (entry & ADDRESS) + ((iova >>> (12 + 9 * (level - 1))) & 511) * 8;
            entry = rig.memory().load(at);
            int next = (int) (entry >>> 9 & 7);
            if ((entry & PR) == 0 || next == 0 || next == 7) {
                return at;
            }
            level = next;
        }
    }

    @Test
    void devicesReachWhatIsMappedByEveryPageSizeAndNothingElse() {
        assertWriteRefused(Hardware.FIRST, TARGET, TARGET);
        pair.attachFirst();
        pair.attach(0, Hardware.SECOND);
        pair.map(IOVA, TARGET, PAGE, Prot.READ_WRITE);
        pair.map(LARGE_IOVA, LARGE_TARGET, LARGE_PAGE, Prot.READ_WRITE);
        pair.map(HUGE_IOVA, 0, HUGE_PAGE, Prot.READ_WRITE);
        for (PciAddress device : List.of(Hardware.FIRST, Hardware.SECOND)) {
            assertReaches(device, IOVA + 0x18, TARGET + 0x18);
            assertReaches(device, LARGE_IOVA + 0x123450, LARGE_TARGET + 0x123450);
            assertReaches(device, HUGE_IOVA + TARGET + 0x7650, TARGET + 0x7650);
            assertReadRefused(device, IOVA + PAGE);
            assertWriteRefused(device, IOVA + PAGE, TARGET + PAGE);
            assertWriteRefused(device, TARGET, TARGET);
        }
        pair.expect("unmap", PAGE, rig -> rig.unmap(0, IOVA, PAGE));
        assertReadRefused(Hardware.FIRST, IOVA);
        pair.expect("detach", true, rig -> rig.detach(Hardware.FIRST));
        assertWriteRefused(Hardware.FIRST, LARGE_IOVA, LARGE_TARGET);
        assertReaches(Hardware.SECOND, LARGE_IOVA, LARGE_TARGET);
    }

    /** Sizes between those of the levels: entries with next level 7, replicated. */
    @ParameterizedTest
    @ValueSource(ints = {13, 15, 16, 20, 22, 25})
    void aPageOfASizeBetweenTwoLevelsIsReachedThroughout(int bits) {
        pair.attachFirst();
        long size = 1L << bits;
        long physicalAddress = bits > 21 ? TARGET & -size : TARGET;
        pair.map(LARGE_IOVA, physicalAddress, size, Prot.READ_WRITE);
        pair.expect("next level", 7L, rig -> rig.memory().load(entry(rig, LARGE_IOVA)) >>> 9 & 7);
        for (long offset : new long[] {0x10, size / 2 - 16, size / 2, size - 16}) {
            assertReaches(Hardware.FIRST, LARGE_IOVA + offset, physicalAddress + offset);
        }
        assertReadRefused(Hardware.FIRST, LARGE_IOVA + size);
    }

    @Test
    void aMappingPermitsWhatItSays() {
        pair.attachFirst();
        pair.map(IOVA, TARGET, PAGE, Prot.READ);
        pair.map(IOVA + PAGE, TARGET + PAGE, PAGE, Prot.WRITE);
        assertWriteRefused(Hardware.FIRST, IOVA, TARGET);
        assertThat(pair.read(Hardware.FIRST, IOVA, 1).words()).containsExactly(Rig.coded(TARGET));
        assertReadRefused(Hardware.FIRST, IOVA + PAGE);
        assertThat(pair.write(Hardware.FIRST, 9, IOVA + PAGE, 1, List.of(TARGET + PAGE))
                        .words())
                .containsExactly(Rig.pattern(Hardware.FIRST, 9));
    }

    @Test
    void anIdentityDomainPassesThrough() {
        pair.doBoth("domain", rig -> rig.newDomain(DomainType.IDENTITY, Hardware.FIRST));
        pair.attach(0, Hardware.FIRST);
        assertReaches(Hardware.FIRST, TARGET + 0x40, TARGET + 0x40);
        assertWriteRefused(Hardware.SECOND, TARGET, TARGET);
    }

    @Test
    void whatTheUnitRemembersLastsUntilItIsInvalidated() {
        pair.attachFirst();
        pair.map(IOVA, TARGET, PAGE, Prot.READ_WRITE);
        assertReaches(Hardware.FIRST, IOVA, TARGET);
        pair.doBoth("move the page", rig -> change(rig, IOVA, 8 * PAGE));
        assertReaches(Hardware.FIRST, IOVA, TARGET);
        pair.expect("unmap", PAGE, rig -> rig.unmap(0, IOVA, PAGE));
        assertReadRefused(Hardware.FIRST, IOVA);
    }

    /** Every leaf of the driver forces coherence; to QEMU, which has no caches, the bit means nothing. */
    @Test
    void qemuIgnoresForcedCoherence() {
        pair.attachFirst();
        pair.expect("enforce", Optional.of(true), rig -> rig.enforce(0));
        pair.map(IOVA, TARGET, PAGE, Prot.READ_WRITE);
        pair.expect("leaf", FC, rig -> rig.memory().load(entry(rig, IOVA)) & FC);
        assertReaches(Hardware.FIRST, IOVA, TARGET);
        pair.map(IOVA + PAGE, TARGET + PAGE, PAGE, Prot.READ_WRITE);
        pair.doBoth("clear FC", rig -> change(rig, IOVA + PAGE, FC));
        assertReaches(Hardware.FIRST, IOVA + PAGE, TARGET + PAGE);
    }

    @Test
    void theDeviceTableEntrysPermissionsCount() {
        pair.attachFirst();
        pair.map(IOVA, TARGET, PAGE, Prot.READ_WRITE);
        pair.doBoth("take IW away", rig -> {
            long entry = deviceTableEntry(rig, Hardware.FIRST);
            rig.memory().store(entry, rig.memory().load(entry) & ~IW);
        });
        pair.doBoth("code", rig -> rig.code(TARGET, 1));
        assertThat(pair.write(Hardware.FIRST, 5, IOVA, 1, List.of(TARGET)).words())
                .containsExactly(Rig.coded(TARGET));
    }

    /**
     * QEMU 7.2 and 10.0 know a device by the bus number that its bus had when the machine was made: 0 for one below a
     * root port, so that 01:00.0 uses the device table entry of 00:00.0. Ours uses its own, as 48882 2.2.2.1 wants.
     */
    @Test
    void qemuKnowsADeviceBelowABridgeByAWrongId() {
        pair.doBoth("domain", rig -> rig.newDomain(Hardware.BELOW));
        pair.attach(0, Hardware.BELOW);
        pair.map(IOVA, TARGET, PAGE, Prot.READ_WRITE);
        pair.doBoth("code", rig -> rig.code(TARGET, 1));
        assertThat(pair.sim().write(Hardware.BELOW, 1, IOVA, 1, List.of(TARGET)).words())
                .containsExactly(Rig.pattern(Hardware.BELOW, 1));
        assertThat(pair.qemu()
                        .write(Hardware.BELOW, 1, IOVA, 1, List.of(TARGET))
                        .words())
                .containsExactly(Rig.coded(TARGET));
        Rig rig = pair.qemu();
        long own = deviceTableEntry(rig, Hardware.BELOW);
        long wrong = deviceTableEntry(rig, new PciAddress(0, 0, 0, 0));
        for (int offset = 24; offset >= 0; offset -= 8) {
            rig.memory().store(wrong + offset, rig.memory().load(own + offset));
        }
        assertThat(rig.write(Hardware.BELOW, 1, IOVA, 1, List.of(TARGET)).words())
                .containsExactly(Rig.pattern(Hardware.BELOW, 1));
    }

    /** Ours logs what it refuses, as 48882 2.5 wants; QEMU 7.2 and 10.0 never move the tail of the log. */
    @Test
    void qemuDoesNotLogWhatItRefuses() {
        pair.attachFirst();
        assertReadRefused(Hardware.FIRST, IOVA);
        assertThat(eventLogTail(pair.qemu())).isZero();
        assertThat(pair.sim().takeFaults().size() + eventLogTail(pair.sim())).isPositive();
    }

    /**
     * COMPLETION_WAIT with i: QEMU sets ComWaitInt and sends a message, which no function's MSI capability lets out.
     */
    @Test
    void whatTheUnitRemembersIsForgottenWhenACompletionInterruptsToo() {
        pair.expect("ComWaitInt, after waits that stored", 0L, rig -> register(rig, 0x2020) & 4);
        AmdHardware interrupting = new AmdHardware(new BootOptions("iommu4j.amd=completion_interrupt"));
        pair = new Pair(lab, interrupting, false, LinuxRelease.NEWEST, "amd-iommu, interrupting");
        pair.expect("ComWaitIntEn", 0x10L, rig -> register(rig, 0x18) & 0x10);
        pair.attachFirst();
        for (int i = 0; i < 3; i++) {
            pair.map(IOVA, TARGET, PAGE, Prot.READ_WRITE);
            assertReaches(Hardware.FIRST, IOVA, TARGET);
            pair.expect("unmap", PAGE, rig -> rig.unmap(0, IOVA, PAGE));
            pair.expect("ComWaitInt", 4L, rig -> register(rig, 0x2020) & 4);
            assertReadRefused(Hardware.FIRST, IOVA);
        }
    }

    private static long eventLogTail(Rig rig) {
        return register(rig, 0x2018);
    }

    private static long register(Rig rig, int offset) {
        return rig.machine()
                .registers()
                .map(AmdHardware.REGISTER_BASE, AmdHardware.REGISTER_BYTES)
                .read64(offset);
    }

    /**
     * QEMU takes a leaf whose PR is clear but which is not zero for present; ours refuses it, as 48882 table 15 wants.
     */
    @Test
    void qemuTakesALeafForPresentThatIsNot() {
        pair.attachFirst();
        pair.map(IOVA, TARGET, PAGE, Prot.READ_WRITE);
        pair.doBoth("clear PR", rig -> change(rig, IOVA, PR));
        pair.doBoth("code", rig -> rig.code(TARGET, 1));
        assertThat(pair.sim().write(Hardware.FIRST, 1, IOVA, 1, List.of(TARGET)).words())
                .containsExactly(Rig.coded(TARGET));
        assertThat(pair.qemu()
                        .write(Hardware.FIRST, 1, IOVA, 1, List.of(TARGET))
                        .words())
                .containsExactly(Rig.pattern(Hardware.FIRST, 1));
    }

    @Test
    void aPermissionTakenFromALeafIsMissed() {
        pair.attachFirst();
        pair.map(IOVA, TARGET, PAGE, Prot.READ_WRITE);
        pair.doBoth("take IR away from the leaf", rig -> change(rig, IOVA, IR));
        assertReadRefused(Hardware.FIRST, IOVA);
    }
}
