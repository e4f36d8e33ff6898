// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.qemu;

import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.SystemMemory;

/** Finds entries of a unit's legacy-mode tables, to change them behind the driver's back. Source: VT-d 3.4 and 9. */
final class VtdLegacyTables {
    private static final int RTADDR = 0x20;
    private static final long ADDRESS = 0x000f_ffff_ffff_f000L;
    private static final long LARGE = 1L << 7;

    private VtdLegacyTables() {}

    /** Returns where a device's context entry is. */
    static long contextEntry(Rig rig, PciAddress device) {
        long root = rig.machine()
                        .registers()
                        .map(IntelHardware.REGISTER_BASE, IntelHardware.REGISTER_BYTES)
                        .read64(RTADDR)
                & ADDRESS;
        long contexts = rig.memory().load(root + device.bus() * 16L) & ADDRESS;
        return contexts + (device.requesterId() & 0xff) * 16L;
    }

    /** Returns where the entry is that decides over an IOVA: a leaf, or the first that is not present. */
    static long entry(Rig rig, PciAddress device, long iova) {
        return entry(rig, device, iova, 1);
    }

    /** Returns where the entry is that decides over an IOVA, at a level or above. */
    static long entry(Rig rig, PciAddress device, long iova, int lowest) {
        SystemMemory memory = rig.memory();
        long context = contextEntry(rig, device);
        long table = memory.load(context) & ADDRESS;
        int level = (int) (memory.load(context + 8) & 7) + 2;
        while (true) {
            long at = table + ((iova >>> (12 + 9 * (level - 1))) & 511) * 8;
            long entry = memory.load(at);
            if (level == lowest || (entry & 3) == 0 || (entry & LARGE) != 0) {
                return at;
            }
            table = entry & ADDRESS;
            level--;
        }
    }
}
