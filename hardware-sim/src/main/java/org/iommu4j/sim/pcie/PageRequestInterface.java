// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.pcie;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.sim.spi.StateDigest;
import org.iommu4j.sim.spi.TranslationUnit;

/**
 * A function's Page Request Interface: its pending pages, and the state of its capability.
 *
 * <p>Outstanding Page Request Allocation and the capacity limit the number of requests. A group is pending until it is
 * answered. After a response failure nothing is pending and nothing is requested, until software clears Enable or
 * resets the interface; responses to earlier groups are ignored. A response that fits no group sets UPRGI. So does one
 * whose PASID contradicts PRG Response PASID Required, which the standard leaves undefined. All requesters of a
 * function share the interface. Source: PCI Express Base 5.0, sections 10.4 and 10.5.2.
 */
final class PageRequestInterface {
    /** Returned when nothing may be requested now. */
    static final int NONE = -1;

    /** Number of group indices: 9 bits. */
    private static final int GROUPS = 512;

    private static final int CONTROL = 4;
    private static final int RESET = 1 << 1;
    private static final int STATUS = 6;
    private static final int RESPONSE_FAILURE = 1;
    private static final int UNEXPECTED_GROUP = 1 << 1;
    private static final int STOPPED = 1 << 8;
    private static final int RESPONSE_NEEDS_PASID = 1 << 15;
    private static final int CAPACITY = 8;
    private static final int ALLOCATION = 12;

    /** Response codes; all others are treated as a failure. */
    private static final int SUCCESS = 0;

    private static final int INVALID_REQUEST = 1;

    private final FunctionConfig config;
    private final List<Group> waiting = new ArrayList<>();
    private int nextIndex;
    private boolean failed;
    private int lastResponse = NONE;

    /** Pages requested together. */
    private static final class Group {
        final int index;
        final int pasid;
        final boolean write;
        final long[] pages;

        Group(int index, int pasid, boolean write, long[] pages) {
            this.index = index;
            this.pasid = pasid;
            this.write = write;
            this.pages = pages;
        }
    }

    /**
     * Makes the interface of a function; without the capability it never sends requests. The configuration space's
     * monitor guards all state.
     */
    PageRequestInterface(FunctionConfig config) {
        this.config = config;
    }

    /**
     * Records a request for pages.
     *
     * @param pages addresses aligned to 4096
     * @return the group's index, or {@link #NONE} when the interface is off or has not enough credit
     */
    int begin(int pasid, boolean write, long[] pages) {
        synchronized (config) {
            int offset = offset();
            if (!config.pageRequestsEnabled()
                    || failed
                    || Integer.compareUnsigned(count() + pages.length, config.read(offset + ALLOCATION, 4)) > 0
                    || Integer.compareUnsigned(count() + pages.length, config.read(offset + CAPACITY, 4)) > 0) {
                return NONE;
            }
            while (find(nextIndex) != NONE) {
                nextIndex = (nextIndex + 1) % GROUPS;
            }
            int index = nextIndex;
            nextIndex = (nextIndex + 1) % GROUPS;
            waiting.add(new Group(index, pasid, write, pages));
            return index;
        }
    }

    /** Returns whether a page was requested and the answer has not arrived yet. */
    boolean awaits(int pasid, long page, boolean write) {
        synchronized (config) {
            for (Group group : waiting) {
                for (long asked : group.pages) {
                    if (asked == page && group.pasid == pasid && group.write == write) {
                        return true;
                    }
                }
            }
            return false;
        }
    }

    /** Receives a response. */
    void respond(int pasid, int index, int code) {
        synchronized (config) {
            int offset = offset();
            if (offset == 0 || failed) {
                return;
            }
            int at = find(index);
            if (at == NONE || pasid != expectedPasid(offset, waiting.get(at))) {
                config.change(offset + STATUS, 0, UNEXPECTED_GROUP);
                return;
            }
            lastResponse = code;
            if (code == SUCCESS || code == INVALID_REQUEST) {
                waiting.remove(at);
            } else {
                waiting.clear();
                failed = config.pageRequestsEnabled();
                config.change(offset + STATUS, 0, RESPONSE_FAILURE);
            }
            showStopped(offset);
        }
    }

    private int expectedPasid(int offset, Group group) {
        boolean needed = (config.read(offset + STATUS, 2) & RESPONSE_NEEDS_PASID) != 0;
        return needed ? group.pasid : TranslationUnit.NO_PASID;
    }

    /** Returns the code of the last response that fitted, {@link #NONE} before the first. */
    int lastResponse() {
        synchronized (config) {
            return lastResponse;
        }
    }

    /** Reacts to a completed write to the configuration space. */
    void written(int offset, int bytes, int value) {
        int capability = offset();
        int control = capability + CONTROL;
        if (capability == 0 || control < offset || control >= offset + bytes) {
            return;
        }
        if (!config.pageRequestsEnabled()) {
            failed = false;
            if (((value >>> (8 * (control - offset))) & RESET) != 0) {
                waiting.clear();
            }
        }
        showStopped(capability);
    }

    /** Updates the Stopped bit: it is set while the interface is off and has nothing pending. */
    private void showStopped(int offset) {
        boolean stopped = !config.pageRequestsEnabled() && waiting.isEmpty();
        config.change(offset + STATUS, stopped ? 0 : STOPPED, stopped ? STOPPED : 0);
    }

    private int count() {
        int count = 0;
        for (Group group : waiting) {
            count += group.pages.length;
        }
        return count;
    }

    private int find(int index) {
        for (int i = 0; i < waiting.size(); i++) {
            if (waiting.get(i).index == index) {
                return i;
            }
        }
        return NONE;
    }

    private int offset() {
        return config.findExtendedCapability(FunctionConfig.EXTENDED_CAPABILITY_PRI);
    }

    void reset() {
        synchronized (config) {
            waiting.clear();
            nextIndex = 0;
            failed = false;
            lastResponse = NONE;
        }
    }

    void addTo(StateDigest digest) {
        synchronized (config) {
            for (Group group : waiting) {
                digest.add(group.index);
                digest.add(group.pasid);
                digest.add(group.write);
                for (long page : group.pages) {
                    digest.add(page);
                }
            }
            if (nextIndex != 0 || failed) {
                digest.add(nextIndex);
                digest.add(failed);
            }
        }
    }
}
