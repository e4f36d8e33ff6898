// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.sim.amdvi.GuestBed.GUEST_ROOT;
import static org.iommu4j.sim.amdvi.TestBed.DEVICE;
import static org.iommu4j.sim.amdvi.TestBed.IR;
import static org.iommu4j.sim.amdvi.TestBed.IR_IW;
import static org.iommu4j.sim.amdvi.TestBed.ROOT;

import org.iommu4j.sim.spi.Translation;
import org.junit.jupiter.api.Test;

/** Bits that the unit sets in host entries where the device table entry says so, and in guest entries always. */
class AccessedDirtyTest {
    private static final long HAD_ACCESSED = 0x080;
    private static final long HAD_BOTH = 0x180;
    private static final long A = 0x20;
    private static final long D = 0x40;
    private static final long INVALIDATE_PAGES_OF_5 = 0x3000000500000000L;

    private final GuestBed guest = new GuestBed();
    private final TestBed bed = guest.bed;

    private long hostPage(long had, long entry) {
        bed.entry(DEVICE, IR_IW | had | ROOT | 3 << 9 | 3, 5);
        return bed.map(0x5000, 3, 1, entry);
    }

    private long bits(long entryAddress) {
        return bed.memory.load(entryAddress) & (A | D);
    }

    @Test
    void hostEntriesStayAsTheyAreUnlessTheEntryAsks() {
        long at = hostPage(0, IR_IW | 0x6000 | 1);
        bed.write(0x5000);

        assertThat(bits(at)).isZero();
        assertThat(bits(ROOT)).isZero();
    }

    @Test
    void aHostWalkSetsAccessedInEveryEntryAndAWriteDirtyInThePage() {
        long at = hostPage(HAD_BOTH, IR_IW | 0x6000 | 1);
        bed.read(0x5000);
        assertThat(bits(at)).isEqualTo(A);
        assertThat(bits(ROOT)).isEqualTo(A);
        assertThat(bits(ROOT + 0x1000)).isEqualTo(A);

        assertThat(bed.write(0x5000)).as("cached, but clean").isEqualTo(Translation.to(0x6000, false));
        assertThat(bits(at)).isEqualTo(A | D);
        assertThat(bits(ROOT)).isEqualTo(A);
        assertThat(bed.memory.load(at)).isEqualTo(IR_IW | 0x6000 | A | D | 1);
    }

    @Test
    void accessedAloneNeverSetsDirty() {
        long at = hostPage(HAD_ACCESSED, IR_IW | 0x6000 | 1);

        assertThat(bed.write(0x5000)).isEqualTo(Translation.to(0x6000, false));
        assertThat(bits(at)).isEqualTo(A);
    }

    @Test
    void aWriteThatIsRefusedLeavesThePageClean() {
        long at = hostPage(HAD_BOTH, IR | 0x6000 | 1);

        assertThat(Translation.isFault(bed.write(0x5000))).isTrue();
        assertThat(bits(at)).isEqualTo(A);
    }

    @Test
    void aDirtyBitThatSoftwareClearsStaysClearUntilItInvalidatesThePage() {
        long at = hostPage(HAD_BOTH, IR_IW | 0x6000 | 1);
        bed.write(0x5000);
        bed.memory.store(at, IR_IW | 0x6000 | A | 1);

        bed.write(0x5008);
        assertThat(bits(at)).as("the cache says dirty").isEqualTo(A);
        bed.command(INVALIDATE_PAGES_OF_5, 0x5000);
        bed.write(0x5008);
        assertThat(bits(at)).isEqualTo(A | D);
    }

    @Test
    void aHostEntryThatSoftwareChangesMeanwhileIsReadAgain() {
        long at = hostPage(HAD_BOTH, IR_IW | 0x6000 | 1);
        bed.fabric.afterNextRead(at, () -> bed.memory.store(at, IR_IW | 0x9000 | 1));

        assertThat(bed.write(0x5000)).isEqualTo(Translation.to(0x9000, false));
        assertThat(bed.memory.load(at)).isEqualTo(IR_IW | 0x9000 | A | D | 1);
    }

    @Test
    void aHostEntryThatSoftwareRemovesMeanwhileStaysRemoved() {
        long at = hostPage(HAD_BOTH, IR_IW | 0x6000 | 1);
        bed.fabric.afterNextRead(at, () -> bed.memory.store(at, 0));

        assertThat(Translation.isFault(bed.write(0x5000))).isTrue();
        assertThat(bed.memory.load(at)).isZero();
    }

    @Test
    void aGuestWalkSetsAccessedInEveryEntryAndAWriteDirtyInThePage() {
        guest.attach(0, 0);
        long at = guest.map(0x5000, 4, 1, 0x6007);
        guest.read(0x5000);
        assertThat(bits(at)).isEqualTo(A);
        assertThat(bits(GUEST_ROOT)).isEqualTo(A);
        assertThat(bits(GUEST_ROOT + 0x2000)).isEqualTo(A);

        assertThat(guest.write(0x5000)).isEqualTo(Translation.to(0x6000, false));
        assertThat(bits(at)).isEqualTo(A | D);
        assertThat(bits(GUEST_ROOT + 0x2000)).isEqualTo(A);
    }

    @Test
    void aGuestsWriteThatIsRefusedLeavesThePageClean() {
        guest.attach(0, 0);
        long at = guest.map(0x5000, 4, 1, 0x6005);

        assertThat(Translation.isFault(guest.write(0x5000))).isTrue();
        assertThat(bits(at) & D).isZero();
    }

    @Test
    void aGuestEntryThatSoftwareChangesMeanwhileIsReadAgain() {
        guest.attach(0, 0);
        long at = guest.map(0x5000, 4, 1, 0x6007);
        bed.fabric.afterNextRead(at, () -> bed.memory.store(at, 0x9007));

        assertThat(guest.write(0x5000)).isEqualTo(Translation.to(0x9000, false));
        assertThat(bed.memory.load(at)).isEqualTo(0x9007 | A | D);
    }

    @Test
    void updatesAreSnooped() {
        guest.attach(0, 0);
        long at = guest.map(0x5000, 4, 1, 0x6007);
        bed.fabric.recording = true;
        guest.write(0x5000);

        assertThat(bed.fabric.accesses)
                .contains("update " + Long.toHexString(at) + " snooped")
                .allMatch(access -> access.endsWith(" snooped"))
                .noneMatch(access -> access.startsWith("write"));
    }
}
