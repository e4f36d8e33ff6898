// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.sim.amdvi.GuestBed.GCR3;
import static org.iommu4j.sim.amdvi.GuestBed.GUEST_ROOT;
import static org.iommu4j.sim.amdvi.GuestBed.PASID;
import static org.iommu4j.sim.amdvi.TestBed.DEVICE;
import static org.iommu4j.sim.amdvi.TestBed.FC;
import static org.iommu4j.sim.amdvi.TestBed.IR;
import static org.iommu4j.sim.amdvi.TestBed.IR_IW;

import org.iommu4j.sim.amdvi.TestBed.LoggedEvent;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.Translation;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A guest's tables over the domain's host tables: every guest physical address is 16 MiB below the system's. */
class NestedTranslationTest {
    private static final long DISTANCE = 0x1000000;
    private static final long INVALIDATE_HOST_OF_5 = 0x3000000500000000L;
    private static final long INVALIDATE_PASID_OF_5 = 0x3000000500000003L;
    private static final long GN = 4;
    private static final long ALL = 0x7ffffffffffff003L;

    private final GuestBed guest = new GuestBed();
    private final TestBed bed = guest.bed;
    private long guestEntry;
    private long hostEntry;

    @BeforeEach
    void nest() {
        guest.attach(0, 3);
        bed.memory.store(DISTANCE + GCR3 + PASID * 8L, GUEST_ROOT | 1);
        host(GCR3, IR_IW);
        long table = DISTANCE + GUEST_ROOT;
        for (int level = 4; level > 1; level--) {
            bed.memory.store(table, table - DISTANCE + 0x1000 | 7);
            host(table - DISTANCE, IR_IW);
            table += 0x1000;
        }
        host(table - DISTANCE, IR_IW);
        guestEntry = table + 5 * 8;
        bed.memory.store(guestEntry, 0x6007);
        hostEntry = host(0x6000, IR_IW | FC);
    }

    private long host(long guestPhysical, long rights) {
        return bed.map(guestPhysical, 3, 1, rights | guestPhysical + DISTANCE | 1);
    }

    @Test
    void everyAddressOfTheGuestGoesThroughTheHost() {
        assertThat(guest.write(0x5123)).isEqualTo(Translation.to(0x1006123, true));
        assertThat(guest.read(0x5123)).isEqualTo(Translation.to(0x1006123, true));
        assertThat(bed.events()).isEmpty();
    }

    @Test
    void withoutGcr3TrpModeTheGcr3TableIsTheSystemsAndAllBelowItTheGuests() {
        host(GCR3, 0);
        bed.command(0x8000000000000000L, 0);
        assertThat(Translation.isFault(guest.read(0x5000))).isTrue();
        assertThat(bed.events()).containsExactly(new LoggedEvent(0x2050000500000110L, GCR3 + PASID * 8));

        // The same words at the same places: GCR3 at the system's address points to the guest's root.
        bed.unit.writeRegister64(TestBed.CONTROL, 0x11005);
        bed.command(0x8000000000000000L, 0);
        assertThat(guest.read(0x5123)).isEqualTo(Translation.to(0x1006123, true));
        bed.memory.store(GCR3 + PASID * 8L, 0);
        bed.command(0x8000000000000000L, 0);
        assertThat(Translation.isFault(guest.read(0x5123))).isTrue();
    }

    @Test
    void aUnitWithoutGcr3TrpModeIgnoresItsBit() {
        TestBed without = new TestBed(GuestBed.EFR, 0, AmdViUnitProvider.CAP);
        without.unit.writeRegister64(TestBed.CONTROL, 0x0400000000011005L);
        without.entry(DEVICE, IR_IW | GuestBed.GV | TestBed.ROOT | 3 << 9 | 3, (GCR3 >> 15) << 16 | 5);
        without.memory.store(GCR3 + PASID * 8L, GUEST_ROOT | 1);

        assertThat(Translation.isFault(without.unit.translate(DEVICE, PASID, 0x5000, RequestFlags.READ)))
                .isTrue();
        assertThat(without.events())
                .as("the host's tables are asked for the root, not for the GCR3 table")
                .containsExactly(new LoggedEvent(0x2000000500000110L, GUEST_ROOT));
    }

    @Test
    void rightsAreThoseOfGuestAndHostTogether() {
        host(0x6000, IR);
        assertThat(guest.read(0x5000)).isEqualTo(Translation.to(0x1006000, false));
        assertThat(Translation.isFault(guest.write(0x5000))).isTrue();
        // Of the host: GN is 0, the address is the guest's physical one.
        assertThat(bed.events()).containsExactly(new LoggedEvent(0x2070000500000110L, 0x6000));

        host(0x6000, IR_IW);
        bed.memory.store(guestEntry, 0x6005);
        bed.command(0x8000000000000000L, 0);
        assertThat(Translation.isFault(guest.write(0x5000))).isTrue();
        assertThat(bed.events()).containsExactly(new LoggedEvent(0x2071000300000110L, 0x5000));
    }

    @Test
    void aTableThatTheHostDoesNotMapIsAFaultOfTheHost() {
        host(GUEST_ROOT + 0x2000, 0);
        assertThat(Translation.isFault(guest.read(0x5000))).isTrue();
        assertThat(bed.events()).containsExactly(new LoggedEvent(0x2050000500000110L, GUEST_ROOT + 0x2000));
    }

    @Test
    void aHostTableOutsideMemoryIsAHardwareErrorLoggedWithTheDomain() {
        bed.memory.store(TestBed.ROOT, TestBed.IR_IW | TestBed.MEMORY | 2 << 9 | 1);
        assertThat(Translation.faultCode(guest.read(0x5000))).isEqualTo(4);
        assertThat(bed.events())
                .containsExactly(new LoggedEvent(0x4200000500000110L, TestBed.MEMORY + (GCR3 >> 21) * 8));
    }

    @Test
    void settingABitOfATableNeedsTheRightToWriteIt() {
        host(GUEST_ROOT + 0x3000, IR);
        assertThat(Translation.isFault(guest.read(0x5000))).isTrue();
        assertThat(bed.events()).containsExactly(new LoggedEvent(0x2050000500000110L, GUEST_ROOT + 0x3028));

        bed.memory.store(guestEntry, 0x6067); // accessed and dirty already
        assertThat(guest.write(0x5000)).isEqualTo(Translation.to(0x1006000, true));
    }

    @Test
    void theSmallerOfGuestAndHostPageIsCached() {
        long pageDirectory = DISTANCE + GUEST_ROOT + 0x2000;
        bed.memory.store(pageDirectory + 8, 0x800087); // 2M at the guest's 8 MiB
        host(0x801000, IR_IW);
        host(0x802000, IR_IW);

        assertThat(guest.read(0x201010)).isEqualTo(Translation.to(0x1801010, false));
        assertThat(guest.read(0x202010)).isEqualTo(Translation.to(0x1802010, false));
        assertThat(Translation.isFault(guest.read(0x203010))).isTrue();
    }

    @Test
    void aGuestsWriteSetsTheHostPagesDirtyBit() {
        bed.entry(DEVICE, IR_IW | GuestBed.GV | 0x180 | TestBed.ROOT | 3 << 9 | 3, (GCR3 >> 15) << 16 | 5);
        guest.read(0x5000);
        assertThat(bed.memory.load(hostEntry) & 0x60).isEqualTo(0x20);

        assertThat(guest.write(0x5000)).isEqualTo(Translation.to(0x1006000, true));
        assertThat(bed.memory.load(hostEntry) & 0x60).isEqualTo(0x60);
    }

    @Test
    void aHostInvalidationReachesWhatTheGuestsAddressesCameTo() {
        guest.read(0x5000);
        bed.memory.store(hostEntry, IR_IW | 0x2222000 | 1);
        assertThat(guest.read(0x5000)).isEqualTo(Translation.to(0x1006000, true));
        bed.command(INVALIDATE_PASID_OF_5, ALL | GN);
        assertThat(guest.read(0x5000)).as("the host's page is cached").isEqualTo(Translation.to(0x1006000, true));

        bed.command(INVALIDATE_HOST_OF_5, 0x6000);
        assertThat(guest.read(0x5000)).isEqualTo(Translation.to(0x2222000, false));
    }

    @Test
    void aGuestInvalidationReachesTheGuestsPage() {
        guest.read(0x5000);
        host(0x7000, IR_IW);
        bed.memory.store(guestEntry, 0x7007);
        bed.command(INVALIDATE_PASID_OF_5 + 1, ALL | GN);
        assertThat(guest.read(0x5000)).as("another PASID's").isEqualTo(Translation.to(0x1006000, true));

        bed.command(INVALIDATE_PASID_OF_5, 0x5000 | GN);
        assertThat(guest.read(0x5000)).isEqualTo(Translation.to(0x1007000, false));
    }
}
