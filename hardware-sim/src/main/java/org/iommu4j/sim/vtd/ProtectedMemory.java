// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import static org.iommu4j.bits.Access.READ_WRITE;

import org.iommu4j.sim.spi.StateDigest;

/**
 * The two regions that no device reaches while PMEN.EPM is set, translated or not.
 *
 * <p>Source: VT-d 11.4.8. Bits of a base that can't be written are 0, those of a limit are 1; a region whose limit is
 * below its base is empty. The unit's own accesses are not checked. Immutable.
 *
 * @param lowBase first byte of the low region
 * @param lowLimit its last byte
 * @param highBase first byte of the high region
 * @param highLimit its last byte
 */
record ProtectedMemory(long lowBase, long lowLimit, long highBase, long highLimit) {
    /** Nothing is protected. */
    static final ProtectedMemory NONE = new ProtectedMemory(1, 0, 1, 0);

    private static final long NOT_WRITABLE = ~VtdRegisters.PHMLIMIT.mask(READ_WRITE);

    /** Returns the regions that the registers describe, limited to those that the unit has. */
    static ProtectedMemory of(VtdCapabilities capabilities, RegisterFile registers) {
        boolean low = capabilities.protectedLowMemory;
        boolean high = capabilities.protectedHighMemory;
        return new ProtectedMemory(
                low ? registers.get(VtdRegisters.PLMBASE) : NONE.lowBase,
                low ? registers.get(VtdRegisters.PLMLIMIT) | NOT_WRITABLE : NONE.lowLimit,
                high ? registers.get(VtdRegisters.PHMBASE) : NONE.highBase,
                high ? registers.get(VtdRegisters.PHMLIMIT) | NOT_WRITABLE : NONE.highLimit);
    }

    boolean covers(long physicalAddress) {
        return isBetween(physicalAddress, lowBase, lowLimit) || isBetween(physicalAddress, highBase, highLimit);
    }

    void addTo(StateDigest digest) {
        digest.add(lowBase);
        digest.add(lowLimit);
        digest.add(highBase);
        digest.add(highLimit);
    }

    private static boolean isBetween(long address, long first, long last) {
        return Long.compareUnsigned(first, address) <= 0 && Long.compareUnsigned(address, last) <= 0;
    }
}
