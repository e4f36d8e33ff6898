// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

/**
 * One event for people.
 *
 * @param at its number in the trace
 * @param lane where it happened
 * @param who the part that did it
 * @param text the event in words
 * @param event the event as it was recorded
 */
public record TimelineEntry(int at, Lane lane, String who, String text, TracedEvent event) {
    /** Where something happens. */
    public enum Lane {
        /** A CPU, or the guest on it. */
        CPU,
        /** A cache. */
        CACHE,
        /** A device. */
        DEVICE,
        /** A decision or a remark. */
        NOTE
    }
}
