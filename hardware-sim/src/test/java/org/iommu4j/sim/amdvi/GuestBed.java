// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import static org.iommu4j.sim.amdvi.TestBed.DEVICE;
import static org.iommu4j.sim.amdvi.TestBed.IR_IW;
import static org.iommu4j.sim.amdvi.TestBed.ROOT;

import org.iommu4j.sim.spi.RequestFlags;

/** A {@link TestBed} whose unit has guest translation, with a GCR3 table and guest tables at fixed places. */
final class GuestBed {
    /** 6 host levels, 5 guest levels, 3 GCR3 levels, PASIDs of 20 bits, NX, GIOV, host accessed and dirty bits. */
    static final long EFR = 0x0013001300009958L;

    /** GCR3TRPMode. */
    static final long EFR2 = 8;

    static final long GCR3 = 0x600000;
    /** The guest's table of the highest level; lower ones follow, a frame each. */
    static final long GUEST_ROOT = 0x700000;

    static final long GV = 1L << 55;
    static final long GIOV = 1L << 54;

    static final int PASID = 3;

    final TestBed bed;

    GuestBed() {
        this(EFR, AmdViUnitProvider.CAP);
    }

    GuestBed(long efr, long capability) {
        bed = new TestBed(efr, EFR2, capability);
        bed.unit.writeRegister64(TestBed.CONTROL, 0x0400000000011005L); // GTEn and GCR3TRPMode too
    }

    /**
     * Gives {@link TestBed#DEVICE} a GCR3 table of one level with one PASID, in domain 5, and host tables of some
     * levels.
     */
    void attach(long extra, int hostLevels) {
        bed.entry(DEVICE, IR_IW | GV | extra | ROOT | (long) hostLevels << 9 | 3, (GCR3 >> 15) << 16 | 5);
        bed.memory.store(GCR3 + PASID * 8L, GUEST_ROOT | 1);
        bed.memory.store(GCR3, GUEST_ROOT | 1);
    }

    /** Stores an entry for an address, with directories for all above it. */
    long map(long address, int levels, int leafLevel, long leaf) {
        long table = GUEST_ROOT;
        for (int level = levels; level > leafLevel; level--) {
            bed.memory.store(table + TestBed.index(address, level) * 8, table + 0x1000 | 7);
            table += 0x1000;
        }
        long at = table + TestBed.index(address, leafLevel) * 8;
        bed.memory.store(at, leaf);
        return at;
    }

    /** Maps the guest's physical frames from 0 to 16 MiB elsewhere, one level of host tables after the other. */
    void hostMap(long guestPhysical, long entry) {
        bed.map(guestPhysical, 3, 1, entry);
    }

    long read(long address) {
        return bed.unit.translate(DEVICE, PASID, address, RequestFlags.READ);
    }

    long write(long address) {
        return bed.unit.translate(DEVICE, PASID, address, RequestFlags.WRITE);
    }
}
