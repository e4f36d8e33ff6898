// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.spi;

/**
 * Sizes of the CPU caches, in lines of 64 bytes.
 *
 * @param privateSets sets of each CPU's private cache, a power of two
 * @param privateWays lines per set
 * @param sharedSets sets of the last-level cache, a power of two
 * @param sharedWays lines per set
 */
public record CacheGeometry(int privateSets, int privateWays, int sharedSets, int sharedWays) {
    /** An ordinary desktop: 256 KiB private, 8 MiB shared. */
    public static final CacheGeometry ORDINARY = new CacheGeometry(512, 8, 8192, 16);

    /** The smallest: four lines in each cache. */
    public static final CacheGeometry LITMUS = new CacheGeometry(2, 2, 2, 2);

    /** Checks the sizes. */
    public CacheGeometry {
        if (Integer.bitCount(privateSets) != 1
                || Integer.bitCount(sharedSets) != 1
                || privateWays < 1
                || sharedWays < 1
                || privateWays > 32
                || sharedWays > 32) {
            throw new IllegalArgumentException("cache geometry " + privateSets + "x" + privateWays + ", " + sharedSets
                    + "x" + sharedWays + ": expected sets that are powers of two and 1 to 32 ways");
        }
    }
}
