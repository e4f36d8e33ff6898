// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.linux;

import org.iommu4j.sim.spi.Fabric;

/**
 * A unit's way to a dump's pages. Reading any other page fails the test: a unit that walks where Linux has no tables is
 * wrong even if it finds nothing there. So does writing to a page of the dump; logs lie elsewhere, and nobody reads
 * them back.
 */
record DumpFabric(LinuxDump dump) implements Fabric {
    /** More than any address of the dumps. */
    private static final long MEMORY = 1L << 36;

    @Override
    public boolean isMemory(long physicalAddress) {
        return physicalAddress >= 0 && physicalAddress < MEMORY;
    }

    @Override
    public long read(long physicalAddress, boolean snoop) {
        return dump.load(physicalAddress);
    }

    @Override
    public void write(long physicalAddress, long value, boolean snoop) {
        if (dump.memory().isMemory(physicalAddress)) {
            throw new IllegalStateException(
                    "the unit writes to 0x" + Long.toHexString(physicalAddress) + ", which is Linux's table");
        }
    }

    @Override
    public void write32(long physicalAddress, int value, boolean snoop) {
        throw new IllegalStateException("32 bits written to 0x" + Long.toHexString(physicalAddress)
                + ", but no command is pending that would store a status");
    }

    @Override
    public boolean compareAndSet(long physicalAddress, long expected, long value, boolean snoop) {
        throw new IllegalStateException("an entry updated at 0x" + Long.toHexString(physicalAddress)
                + ", but accessed and dirty bits are off in these dumps");
    }
}
