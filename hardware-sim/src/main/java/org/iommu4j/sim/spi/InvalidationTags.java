// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.spi;

import java.util.Arrays;
import java.util.Objects;

/**
 * The ATS invalidation requests that a unit waits for, by their tags (ITag).
 *
 * <p>A device answers a request by one completion message or by several, in any order. Each message has the tags that
 * it is for, and says how many messages there are for each. Not thread-safe: a unit guards it as its queue. Source: PCI
 * Express Base 5.0, sections 10.3.2 and 10.3.4.
 */
public final class InvalidationTags {
    /** How many tags there are. */
    public static final int MOST = 32;

    /** Returned when all tags are in use. */
    public static final int NONE = -1;

    private final int size;
    private final int[] sourceIds = new int[MOST];
    private final int[] messages = new int[MOST];
    private final long[] notes = new long[MOST];
    private int outstanding;

    /**
     * Makes a set of free tags.
     *
     * @param size how many requests the unit has outstanding at most, 1 to {@link #MOST}
     * @throws IllegalArgumentException when the size is out of range
     */
    public InvalidationTags(int size) {
        if (size < 1 || size > MOST) {
            throw new IllegalArgumentException(size + " tags, expected 1 to " + MOST);
        }
        this.size = size;
    }

    /** Returns the lowest free tag, or {@link #NONE}. */
    public int free() {
        int tag = Integer.numberOfTrailingZeros(~outstanding);
        return tag < size ? tag : NONE;
    }

    /**
     * Notes that a request is outstanding.
     *
     * @param tag a free tag
     * @param sourceId the device that has to answer
     * @param note anything that the unit wants to know again when the request times out
     */
    public void take(int tag, int sourceId, long note) {
        outstanding |= 1 << tag;
        sourceIds[tag] = sourceId;
        messages[tag] = 0;
        notes[tag] = note;
    }

    /**
     * Takes a completion message.
     *
     * @param tags a bit for each tag that it is for
     * @param count how many messages the device sends for each, 1 to 8
     * @return whether it was expected: every tag is outstanding for the device; else nothing changes
     */
    public boolean complete(int sourceId, int tags, int count) {
        if (tags == 0 || (tags & ~outstanding) != 0 || !areOf(sourceId, tags)) {
            return false;
        }
        for (int left = tags; left != 0; left &= left - 1) {
            int tag = Integer.numberOfTrailingZeros(left);
            if (++messages[tag] >= count) {
                release(tag);
            }
        }
        return true;
    }

    private boolean areOf(int sourceId, int tags) {
        for (int left = tags; left != 0; left &= left - 1) {
            if (sourceIds[Integer.numberOfTrailingZeros(left)] != sourceId) {
                return false;
            }
        }
        return true;
    }

    /** Makes a tag free again, whether or not it was answered. */
    public void release(int tag) {
        outstanding &= ~(1 << tag);
    }

    /** Returns the tags that are outstanding, a bit each. */
    public int outstanding() {
        return outstanding;
    }

    /** Returns whether no request is outstanding. */
    public boolean isEmpty() {
        return outstanding == 0;
    }

    /** Returns the device that a tag's last request went to. */
    public int sourceId(int tag) {
        return sourceIds[tag];
    }

    /** Returns the note of a tag's last request. */
    public long note(int tag) {
        return notes[tag];
    }

    /** Makes all tags free. */
    public void reset() {
        outstanding = 0;
        Arrays.fill(messages, 0);
    }

    /** Adds the outstanding requests. */
    public void addTo(StateDigest digest) {
        Objects.requireNonNull(digest, "digest");
        digest.add(outstanding);
        for (int left = outstanding; left != 0; left &= left - 1) {
            int tag = Integer.numberOfTrailingZeros(left);
            digest.add(sourceIds[tag]);
            digest.add(messages[tag]);
            digest.add(notes[tag]);
        }
    }
}
