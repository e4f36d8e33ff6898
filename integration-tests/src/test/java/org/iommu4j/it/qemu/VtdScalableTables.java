// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.qemu;

import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.SystemMemory;

/**
 * Finds entries of a unit's scalable-mode tables, to change them behind the driver's back. Source: VT-d 3.4.3, 3.6 and
 * 9.
 */
final class VtdScalableTables {
    private static final int RTADDR = 0x20;
    private static final long ADDRESS = 0x000f_ffff_ffff_f000L;
    private static final long LARGE = 1L << 7;
    private static final int FIRST_STAGE = 1;

    private VtdScalableTables() {}

    /** Returns where the entry is of a device's requests without PASID: PASID 0, VT-d 9.4 (RID_PASID). */
    static long pasidEntry(Rig rig, PciAddress device) {
        SystemMemory memory = rig.memory();
        long root = rig.machine()
                        .registers()
                        .map(IntelHardware.REGISTER_BASE, IntelHardware.REGISTER_BYTES)
                        .read64(RTADDR)
                & ADDRESS;
        int function = device.requesterId() & 0xff;
        long contexts = memory.load(root + device.bus() * 16L + function / 128 * 8L) & ADDRESS;
        long directory = memory.load(contexts + function % 128 * 32L) & ADDRESS;
        return memory.load(directory) & ADDRESS;
    }

    /**
     * Returns where the entry of a first-stage table of 4 levels is that decides over an IOVA, at a level or above: a
     * leaf, or the first that is not present.
     */
    static long entry(Rig rig, PciAddress device, long iova, int lowest) {
        SystemMemory memory = rig.memory();
        long pasid = pasidEntry(rig, device);
        long type = memory.load(pasid) >>> 6 & 7;
        if (type != FIRST_STAGE) {
            throw new IllegalStateException("PASID entry at 0x" + Long.toHexString(pasid) + " has type " + type);
        }
        long table = memory.load(pasid + 16) & ADDRESS;
        int level = 4;
        while (true) {
            long at = table + ((iova >>> (12 + 9 * (level - 1))) & 511) * 8;
            long entry = memory.load(at);
            if (level == lowest || (entry & 1) == 0 || (entry & LARGE) != 0) {
                return at;
            }
            table = entry & ADDRESS;
            level--;
        }
    }
}
