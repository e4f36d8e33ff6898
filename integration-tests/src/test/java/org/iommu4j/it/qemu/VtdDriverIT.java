// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.qemu;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Optional;
import org.iommu4j.DomainType;
import org.iommu4j.LinuxRelease;
import org.iommu4j.Prot;
import org.iommu4j.pci.PciAddress;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The VT-d driver in legacy mode on QEMU's unit and on ours: every step has the same outcome on both. */
@OnEachQemu
class VtdDriverIT {
    private static final long PAGE = 4096;
    private static final long LARGE_PAGE = 2L << 20;
    private static final long HUGE_PAGE = 1L << 30;
    private static final long IOVA = 0x4000_0000L;
    private static final long LARGE_IOVA = 0x8000_0000L;
    private static final long HUGE_IOVA = 0x1_0000_0000L;
    private static final long TARGET = Rig.TARGET;
    private static final long LARGE_TARGET = TARGET + LARGE_PAGE;

    /** Bit 11 of a leaf: the unit snoops whatever the request says. */
    private static final long SNP = 1L << 11;

    private static final int ROOT_NOT_PRESENT = 1;
    private static final int CONTEXT_NOT_PRESENT = 2;
    private static final int BEYOND_WIDTH = 4;
    private static final int NO_WRITE = 5;
    private static final int NO_READ = 6;
    private static final int RESERVED_BIT = 0xc;

    private final QemuLab lab;

    VtdDriverIT(QemuLab lab) {
        this.lab = lab;
    }

    private Pair start(String options) {
        return new Pair(lab, new IntelHardware(options), false, LinuxRelease.NEWEST, "intel-iommu," + options);
    }

    @ParameterizedTest
    @ValueSource(strings = {"aw-bits=39", "aw-bits=48", "aw-bits=39,snoop-control=on", "aw-bits=48,caching-mode=on"})
    void devicesReachWhatIsMappedByEveryPageSizeAndNothingElse(String options) {
        Pair pair = start(options);
        for (PciAddress device : List.of(Hardware.FIRST, Hardware.BELOW)) {
            pair.assertReadRefused(device, IOVA, CONTEXT_NOT_PRESENT);
            pair.assertWriteRefused(device, TARGET, TARGET, CONTEXT_NOT_PRESENT);
        }
        pair.doBoth("domain", rig -> rig.newDomain(Hardware.FIRST));
        pair.attach(0, Hardware.FIRST);
        pair.attach(0, Hardware.BELOW);
        pair.map(IOVA, TARGET, PAGE, Prot.READ_WRITE);
        pair.map(LARGE_IOVA, LARGE_TARGET, LARGE_PAGE, Prot.READ_WRITE);
        pair.map(HUGE_IOVA, 0, HUGE_PAGE, Prot.READ_WRITE);
        for (PciAddress device : List.of(Hardware.FIRST, Hardware.BELOW)) {
            pair.assertReaches(device, IOVA + 0x18, TARGET + 0x18);
            pair.assertReaches(device, LARGE_IOVA + 0x123450, LARGE_TARGET + 0x123450);
            pair.assertReaches(device, HUGE_IOVA + TARGET + 0x7650, TARGET + 0x7650);
            pair.assertReadRefused(device, IOVA + PAGE, NO_READ);
            pair.assertWriteRefused(device, IOVA + PAGE, TARGET + PAGE, NO_WRITE);
            pair.assertWriteRefused(device, TARGET, TARGET, NO_WRITE);
        }
        pair.assertReadRefused(Hardware.FIRST, options.contains("48") ? 1L << 48 : 1L << 39, BEYOND_WIDTH);
        pair.expect("unmap", PAGE, rig -> rig.unmap(0, IOVA, PAGE));
        pair.assertReadRefused(Hardware.FIRST, IOVA, NO_READ);
        pair.expect("detach", true, rig -> rig.detach(Hardware.FIRST));
        pair.assertReadRefused(Hardware.FIRST, LARGE_IOVA, CONTEXT_NOT_PRESENT);
        pair.assertReaches(Hardware.BELOW, LARGE_IOVA, LARGE_TARGET);
    }

    @ParameterizedTest
    @ValueSource(strings = {"aw-bits=39", "aw-bits=48"})
    void aMappingPermitsWhatItSays(String options) {
        Pair pair = start(options);
        pair.doBoth("domain", rig -> rig.newDomain(Hardware.FIRST));
        pair.attach(0, Hardware.FIRST);
        pair.map(IOVA, TARGET, PAGE, Prot.READ);
        pair.map(IOVA + PAGE, TARGET + PAGE, PAGE, Prot.WRITE);
        pair.assertWriteRefused(Hardware.FIRST, IOVA, TARGET, NO_WRITE);
        pair.doBoth("code", rig -> rig.code(TARGET, 2));
        assertThat(pair.read(Hardware.FIRST, IOVA, 1).words()).containsExactly(Rig.coded(TARGET));
        pair.read(Hardware.FIRST, IOVA + PAGE, 1);
        assertThat(pair.write(Hardware.FIRST, 9, IOVA + PAGE, 1, List.of(TARGET + PAGE))
                        .words())
                .containsExactly(Rig.pattern(Hardware.FIRST, 9));
    }

    @Test
    void noSnoopIsBlockedInLeavesWhereTheUnitHasSnoopControl() {
        Pair pair = start("snoop-control=on");
        pair.doBoth("domain", rig -> rig.newDomain(Hardware.FIRST));
        pair.attach(0, Hardware.FIRST);
        pair.expect("enforce", Optional.of(true), rig -> rig.enforce(0));
        pair.map(IOVA, TARGET, PAGE, Prot.READ_WRITE);
        pair.map(LARGE_IOVA, LARGE_TARGET, LARGE_PAGE, Prot.READ_WRITE);
        for (long iova : new long[] {IOVA, LARGE_IOVA}) {
            pair.expect("leaf", SNP, rig -> rig.memory().load(VtdLegacyTables.entry(rig, Hardware.FIRST, iova)) & SNP);
        }
        pair.assertReaches(Hardware.FIRST, IOVA, TARGET);
        pair.assertReaches(Hardware.FIRST, LARGE_IOVA, LARGE_TARGET);
    }

    @Test
    void theSnoopBitIsReservedWhereTheUnitHasNoSnoopControl() {
        Pair pair = start("snoop-control=off");
        pair.doBoth("domain", rig -> rig.newDomain(Hardware.FIRST));
        pair.attach(0, Hardware.FIRST);
        pair.expect("enforce", Optional.of(false), rig -> rig.enforce(0));
        pair.map(IOVA, TARGET, PAGE, Prot.READ_WRITE);
        pair.map(LARGE_IOVA, LARGE_TARGET, LARGE_PAGE, Prot.READ_WRITE);
        pair.assertReaches(Hardware.FIRST, IOVA, TARGET);
        for (long iova : new long[] {IOVA, LARGE_IOVA}) {
            pair.doBoth("set SNP", rig -> change(rig, iova, SNP));
            pair.both("flush", rig -> rig.detach(Hardware.FIRST));
            pair.attach(0, Hardware.FIRST);
            pair.assertReadRefused(Hardware.FIRST, iova, RESERVED_BIT);
            pair.assertWriteRefused(Hardware.FIRST, iova, TARGET, RESERVED_BIT);
        }
    }

    private static void change(Rig rig, long iova, long bits) {
        long entry = VtdLegacyTables.entry(rig, Hardware.FIRST, iova);
        rig.memory().store(entry, rig.memory().load(entry) ^ bits);
    }

    @Test
    void anIdentityDomainPassesThrough() {
        Pair pair = start("");
        pair.doBoth("domain", rig -> rig.newDomain(DomainType.IDENTITY, Hardware.FIRST));
        pair.attach(0, Hardware.FIRST);
        pair.assertReaches(Hardware.FIRST, TARGET + 0x40, TARGET + 0x40);
        pair.assertReadRefused(Hardware.SECOND, TARGET, CONTEXT_NOT_PRESENT);
    }

    @Test
    void whatTheUnitRemembersLastsUntilItIsInvalidated() {
        Pair pair = start("");
        pair.doBoth("domain", rig -> rig.newDomain(Hardware.FIRST));
        pair.attach(0, Hardware.FIRST);
        pair.map(IOVA, TARGET, PAGE, Prot.READ_WRITE);
        pair.map(IOVA + PAGE, TARGET + PAGE, PAGE, Prot.READ_WRITE);
        pair.assertReaches(Hardware.FIRST, IOVA, TARGET);
        pair.doBoth("move the page", rig -> change(rig, IOVA, 8 * PAGE));
        pair.assertReaches(Hardware.FIRST, IOVA, TARGET);
        // A page-selective invalidation of another page leaves it.
        pair.expect("unmap the next", PAGE, rig -> rig.unmap(0, IOVA + PAGE, PAGE));
        pair.assertReaches(Hardware.FIRST, IOVA, TARGET);
        pair.map(IOVA + PAGE, TARGET + PAGE, PAGE, Prot.READ_WRITE);
        // One that covers it does not.
        pair.expect("unmap both", 2 * PAGE, rig -> rig.unmap(0, IOVA, 2 * PAGE));
        pair.assertReadRefused(Hardware.FIRST, IOVA, NO_READ);
    }

    @Test
    void aContextEntryIsRememberedUntilItIsInvalidated() {
        Pair pair = start("");
        pair.doBoth("domain", rig -> rig.newDomain(Hardware.FIRST));
        pair.attach(0, Hardware.FIRST);
        pair.map(IOVA, TARGET, PAGE, Prot.READ_WRITE);
        pair.assertReaches(Hardware.FIRST, IOVA, TARGET);
        pair.doBoth("clear the context entry", rig -> {
            long entry = VtdLegacyTables.contextEntry(rig, Hardware.FIRST);
            rig.memory().store(entry, rig.memory().load(entry) & ~1L);
        });
        pair.assertReaches(Hardware.FIRST, IOVA, TARGET);
    }

    /**
     * QEMU refuses without a report what a remembered translation does not permit; ours reports it, as VT-d 7.1 makes
     * no difference between what was walked and what was remembered.
     */
    @Test
    void qemuDoesNotReportARefusalByARememberedTranslation() {
        Pair pair = start("");
        pair.doBoth("domain", rig -> rig.newDomain(Hardware.FIRST));
        pair.attach(0, Hardware.FIRST);
        pair.map(IOVA, TARGET, PAGE, Prot.READ);
        assertThat(pair.read(Hardware.FIRST, IOVA, 1).faults()).isEmpty();
        pair.assertWriteRefused(Hardware.FIRST, IOVA, TARGET, NO_WRITE);
        assertThat(pair.unreported()).isEqualTo(1);
    }

    @Test
    void theRootTablesEntryDecidesOverABus() {
        Pair pair = start("");
        pair.doBoth(
                "clear the root entry",
                rig -> rig.memory()
                        .store(
                                rig.machine()
                                                .registers()
                                                .map(IntelHardware.REGISTER_BASE, IntelHardware.REGISTER_BYTES)
                                                .read64(0x20)
                                        + 16,
                                0));
        pair.assertReadRefused(Hardware.BELOW, IOVA, ROOT_NOT_PRESENT);
        pair.assertReadRefused(Hardware.FIRST, IOVA, CONTEXT_NOT_PRESENT);
    }

    /** A fault that the context entry does not want reported is refused without a report. */
    @Test
    void faultProcessingCanBeDisabled() {
        Pair pair = start("");
        attachFirst(pair);
        pair.doBoth("set FPD", rig -> changeContext(rig, 0, 1L << 1));
        assertThat(pair.read(Hardware.FIRST, IOVA, 1)).isEqualTo(new Rig.Outcome(List.of(0L), List.of()));
    }

    private static void attachFirst(Pair pair) {
        pair.doBoth("domain", rig -> rig.newDomain(Hardware.FIRST));
        pair.attach(0, Hardware.FIRST);
        pair.map(LARGE_IOVA, LARGE_TARGET, LARGE_PAGE, Prot.READ_WRITE);
    }

    /** The unit has not met the entry since it was written: a change counts without invalidation. */
    private static void changeContext(Rig rig, int offset, long bits) {
        long entry = VtdLegacyTables.contextEntry(rig, Hardware.FIRST) + offset;
        rig.memory().store(entry, rig.memory().load(entry) ^ bits);
    }

    @ParameterizedTest
    @ValueSource(strings = {"aw-bits=39", "aw-bits=48", "aw-bits=39,snoop-control=on"})
    void everyBitOfALeafIsReservedOnBothOrOnNeither(String options) {
        Pair pair = start(options);
        attachFirst(pair);
        pair.map(IOVA, TARGET, PAGE, Prot.READ_WRITE);
        // Bits 2 to 11 and all above what memory needs; 12 to 27 only move the page.
        for (int bit = 2; bit < 64; bit = bit == 11 ? 28 : bit + 1) {
            long mask = 1L << bit;
            pair.doBoth("change bit " + bit + " of a 4 KiB leaf", rig -> change(rig, IOVA, mask));
            flush(pair);
            pair.read(Hardware.FIRST, IOVA, 1);
            pair.doBoth("change it back", rig -> change(rig, IOVA, mask));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"aw-bits=39", "aw-bits=48", "aw-bits=39,snoop-control=on"})
    void everyBitOfALargeLeafIsReservedOnBothOrOnNeither(String options) {
        Pair pair = start(options);
        attachFirst(pair);
        for (int bit = 2; bit < 64; bit = bit == 20 ? 28 : bit + 1) {
            if (bit == 7) {
                continue; // without it this is no leaf
            }
            long mask = 1L << bit;
            pair.doBoth("change bit " + bit + " of a 2 MiB leaf", rig -> change(rig, LARGE_IOVA, mask));
            flush(pair);
            pair.read(Hardware.FIRST, LARGE_IOVA, 1);
            pair.doBoth("change it back", rig -> change(rig, LARGE_IOVA, mask));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"aw-bits=39", "aw-bits=48,snoop-control=on"})
    void everyBitOfATableEntryIsReservedOnBothOrOnNeither(String options) {
        Pair pair = start(options);
        attachFirst(pair);
        pair.map(IOVA, TARGET, PAGE, Prot.READ_WRITE);
        for (int bit = 2; bit < 64; bit = bit == 11 ? 28 : bit + 1) {
            long mask = 1L << bit;
            pair.doBoth("change bit " + bit + " of an entry above a leaf", rig -> changeTable(rig, mask));
            flush(pair);
            pair.read(Hardware.FIRST, IOVA, 1);
            pair.doBoth("change it back", rig -> changeTable(rig, mask));
        }
    }

    private static void changeTable(Rig rig, long bits) {
        long entry = VtdLegacyTables.entry(rig, Hardware.FIRST, IOVA, 2);
        rig.memory().store(entry, rig.memory().load(entry) ^ bits);
    }

    @ParameterizedTest
    @ValueSource(strings = {"aw-bits=39", "aw-bits=48"})
    void everyBitOfAContextEntryIsReservedOnBothOrOnNeither(String options) {
        Pair pair = start(options);
        attachFirst(pair);
        for (int bit = 0; bit < 128; bit = bit == 11 ? 64 : bit + 1) {
            long mask = 1L << bit;
            int offset = bit / 64 * 8;
            flush(pair);
            pair.doBoth("change bit " + bit + " of the context entry", rig -> changeContext(rig, offset, mask));
            pair.read(Hardware.FIRST, LARGE_IOVA, 1);
        }
    }

    private static void flush(Pair pair) {
        pair.expect("detach", true, rig -> rig.detach(Hardware.FIRST));
        pair.attach(0, Hardware.FIRST);
    }
}
