// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.platform;

/**
 * The x86 memory type of an access. Source: Intel SDM volume 3, section 12.3; AMD64 APM volume 2, section 7.4.
 *
 * <p>{@link Processor#selfSnoop} decides whether UC and WC look into caches, which hold a line only where the same
 * memory has another mapping.
 */
public enum MemoryType {
    /** Uncacheable: goes to memory, in order. */
    UC,
    /** Uncacheable, unless an MTRR states write-combining: a type of the PAT. An access that has it is one of UC. */
    UC_MINUS,
    /** Write-combining: loads go to memory; stores wait in a buffer that nobody snoops, and reach memory late. */
    WC,
    /** Write-through: loads are served by the caches; stores go to memory and to this CPU's cached copy. */
    WT,
    /** Write-protected: loads are served by the caches; stores go to memory, and all cached copies are dropped. */
    WP,
    /** Write-back: loads and stores are served by the caches. */
    WB
}
