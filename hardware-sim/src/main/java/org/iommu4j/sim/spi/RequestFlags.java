// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.spi;

/**
 * What a request wants, as bits of an {@code int}, so that translating allocates nothing.
 *
 * <p>A memory request has {@link #READ} or {@link #WRITE}; a page request may have both, and {@link #LAST}. {@link
 * #EXECUTE} comes with a read. Source: PCI Express Base 5.0, sections 6.20 and 10.4; the PASID prefix carries both
 * attributes.
 */
public final class RequestFlags {
    /** It reads. */
    public static final int READ = 1;

    /** It writes. */
    public static final int WRITE = 1 << 1;

    /** It reads instructions. */
    public static final int EXECUTE = 1 << 2;

    /** It is made with the rights of a supervisor, otherwise with those of a user. */
    public static final int PRIVILEGED = 1 << 3;

    /** It is the last page request of its group. */
    public static final int LAST = 1 << 4;

    private RequestFlags() {}

    /** Returns the flag of an ordinary request: {@link #WRITE} or {@link #READ}. */
    public static int readOrWrite(boolean write) {
        return write ? WRITE : READ;
    }

    /** Returns whether flags have {@link #WRITE}. */
    public static boolean writes(int flags) {
        return (flags & WRITE) != 0;
    }
}
