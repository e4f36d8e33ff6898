// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.silicon;

/**
 * One access of memory by a unit.
 *
 * @param writes whether it writes
 * @param address in bytes
 * @param value read or written
 * @param snoop whether it is snooped
 */
record Access(boolean writes, long address, long value, boolean snoop) {
    @Override
    public String toString() {
        return (writes ? "write of 0x" : "read of 0x") + Long.toHexString(value) + " at 0x" + Long.toHexString(address)
                + (snoop ? "" : ", not snooped");
    }
}
