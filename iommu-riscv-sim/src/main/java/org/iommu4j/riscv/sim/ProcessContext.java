// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import static org.iommu4j.bits.BitField.bit;

import org.iommu4j.bits.BitField;
import org.iommu4j.sim.spi.StateDigest;

/** A valid process context. Source: manual, "Process-context fields". */
record ProcessContext(long key, long ta, long fsc) implements ContextCache.Context {
    static final BitField V = bit(0, "V");
    static final BitField ENS = bit(1, "ENS");
    static final BitField SUM = bit(2, "SUM");
    static final long RESERVED_TA = ~(V.mask() | ENS.mask() | SUM.mask() | DeviceContext.PSCID.mask());

    private static final int PROCESS_BITS = 20;

    /** Returns what the context of a process of a device is found by. */
    static long key(int device, int process) {
        return (long) device << PROCESS_BITS | process;
    }

    /** Returns what the entries of a device's directory that lead to tables are tagged with. */
    static long tableTag(int device) {
        return DeviceContext.TAGGED | device;
    }

    static int device(long key) {
        return (int) (key >>> PROCESS_BITS);
    }

    @Override
    public void addTo(StateDigest digest) {
        digest.add(key);
        digest.add(ta);
        digest.add(fsc);
    }
}
