// SPDX-License-Identifier: Apache-2.0
package org.iommu4j;

/**
 * The protection bits of a mapping, as an {@code int} so that mapping allocates nothing.
 *
 * <p>Source: {@code IOMMU_READ} and following in {@code include/linux/iommu.h}.
 */
public final class Prot {
    /** The device may read. */
    public static final int READ = 1;
    /** The device may write. */
    public static final int WRITE = 1 << 1;
    /** Ordinary DMA through this mapping is coherent with the CPU caches. Says nothing about no-snoop. */
    public static final int CACHE = 1 << 2;
    /** The device may not fetch instructions. */
    public static final int NOEXEC = 1 << 3;
    /** The target is a device's memory, not RAM. */
    public static final int MMIO = 1 << 4;
    /** The device may access it only in privileged mode. */
    public static final int PRIV = 1 << 5;

    /** Read and write. */
    public static final int READ_WRITE = READ | WRITE;

    private Prot() {}

    /** Returns the bits by name, for messages: {@code READ|WRITE|CACHE}. */
    public static String toString(int prot) {
        String[] names = {"READ", "WRITE", "CACHE", "NOEXEC", "MMIO", "PRIV"};
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < names.length; i++) {
            if ((prot & (1 << i)) != 0) {
                text.append(text.length() == 0 ? "" : "|").append(names[i]);
            }
        }
        int unknown = prot & -(1 << names.length);
        if (unknown != 0) {
            text.append(text.length() == 0 ? "" : "|").append("0x").append(Integer.toHexString(unknown));
        }
        return text.length() == 0 ? "none" : text.toString();
    }
}
