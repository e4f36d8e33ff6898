// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.qemu;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.platform.RegisterWindow;

/**
 * A VT-d unit's fault recording registers, read and cleared by hand where there is no driver to do it. Source: VT-d
 * 11.4.9 to 11.4.14.
 */
final class FaultRegisters {
    private static final int CAP = 0x08;
    private static final int FSTS = 0x34;
    private static final int PRIMARY_FAULTS = 3;

    private FaultRegisters() {}

    /** Takes out what is recorded, in the order of the registers. */
    static List<Fault> take(RegisterWindow window) {
        List<Fault> faults = new ArrayList<>();
        if ((window.read32(FSTS) & PRIMARY_FAULTS) == 0) {
            return faults;
        }
        long cap = window.read64(CAP);
        int offset = (int) (cap >>> 24 & 0x3ff) * 16;
        int count = (int) (cap >>> 40 & 0xff) + 1;
        for (int i = 0; i < count; i++) {
            int record = offset + 16 * i;
            long high = window.read64(record + 8);
            if (high < 0) {
                faults.add(new Fault(
                        (int) high & 0xffff,
                        window.read64(record) & -4096,
                        (high >>> 62 & 1) == 0,
                        (int) (high >>> 32) & 0xff));
                window.write32(record + 12, Integer.MIN_VALUE);
            }
        }
        window.write32(FSTS, PRIMARY_FAULTS);
        return faults;
    }
}
