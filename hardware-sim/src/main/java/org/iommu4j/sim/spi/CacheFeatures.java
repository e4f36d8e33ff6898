// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.spi;

/**
 * What the caches of a machine's CPUs do where processors differ.
 *
 * @param selfSnoop whether uncached and write-combining accesses look into the caches (CPUID 1, EDX bit 27). Without
 *     it, a line that was cached by another mapping stays, and may be old. Source: Intel SDM volume 3, section 12.12.4
 * @param inclusive whether the shared cache holds every line that a private one holds: when it drops a line, all drop
 *     it
 * @param dataDirectIo whether snooped writes of devices go to the shared cache, and not to memory (Intel's Data Direct
 *     I/O)
 * @param combiningBuffers lines that each CPU's write-combining buffer has room for, 1 to 32. Manuals leave the number
 *     open: Intel SDM volume 3, section 12.3.1
 */
public record CacheFeatures(boolean selfSnoop, boolean inclusive, boolean dataDirectIo, int combiningBuffers) {
    /** A client of today: with self-snoop, not inclusive, writes of devices to memory, 10 buffers. */
    public static final CacheFeatures ORDINARY = new CacheFeatures(true, false, false, 10);

    /** Checks the number of buffers. */
    public CacheFeatures {
        if (combiningBuffers < 1 || combiningBuffers > 32) {
            throw new IllegalArgumentException(combiningBuffers + " write-combining buffers, expected 1 to 32");
        }
    }

    /** Returns these with self-snoop or without. */
    public CacheFeatures withSelfSnoop(boolean newSelfSnoop) {
        return new CacheFeatures(newSelfSnoop, inclusive, dataDirectIo, combiningBuffers);
    }

    /** Returns these with an inclusive shared cache or another one. */
    public CacheFeatures withInclusive(boolean newInclusive) {
        return new CacheFeatures(selfSnoop, newInclusive, dataDirectIo, combiningBuffers);
    }

    /** Returns these with devices' writes to the shared cache or to memory. */
    public CacheFeatures withDataDirectIo(boolean newDataDirectIo) {
        return new CacheFeatures(selfSnoop, inclusive, newDataDirectIo, combiningBuffers);
    }

    /** Returns these with a number of write-combining buffers, 1 to 32. */
    public CacheFeatures withCombiningBuffers(int newCombiningBuffers) {
        return new CacheFeatures(selfSnoop, inclusive, dataDirectIo, newCombiningBuffers);
    }
}
