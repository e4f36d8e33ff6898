// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

/**
 * The result of a walk, packed in a {@code long}: a word of {@link WalkCache}, which is negative, or a failure, which
 * is not.
 *
 * <p>There are three kinds of failures. One has only the flags of a page fault event. One is a host walk's failure
 * under a guest's, with the guest physical address below the flags. One is an entry of either table that could not be
 * read, with its address.
 */
final class WalkResult {
    private static final long UNREADABLE = 1L << 62;
    private static final long OF_HOST = 1L << 61;
    private static final long FLAGS = Event.PR.mask() | Event.PE.mask() | Event.RZ.mask();
    private static final long ADDRESS = (1L << 52) - 1;

    /** No translation: an entry is not present. */
    static final long NOT_PRESENT = 0;
    /** An entry has reserved bits set. */
    static final long RESERVED = Event.PR.mask() | Event.RZ.mask();
    /** An entry is impossible at its level. */
    static final long IMPOSSIBLE = Event.PR.mask();
    /** The entries do not allow the request. */
    static final long REFUSED = Event.PR.mask() | Event.PE.mask();

    private WalkResult() {}

    static boolean isFailure(long result) {
        return result >= 0;
    }

    /** Makes a failure of an entry that can't be read. */
    static long unreadable(long entryAddress) {
        return UNREADABLE | entryAddress;
    }

    static boolean isUnreadable(long failure) {
        return (failure & UNREADABLE) != 0;
    }

    /** Makes the failure for a guest physical address from the host walk's own failure. */
    static long ofHost(long failure, long guestPhysical) {
        return OF_HOST | failure | (isUnreadable(failure) ? 0 : guestPhysical & ADDRESS);
    }

    static boolean isOfHost(long failure) {
        return (failure & OF_HOST) != 0;
    }

    /** Returns the address of an entry that could not be read, or a guest's physical address. */
    static long address(long failure) {
        return failure & ADDRESS;
    }

    /** Returns the flags of a page fault event. */
    static long flags(long failure) {
        return failure & FLAGS;
    }
}
