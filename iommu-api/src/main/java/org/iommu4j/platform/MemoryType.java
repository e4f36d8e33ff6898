// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.platform;

/** The x86 memory type of an access. Source: Intel SDM volume 3, chapter on memory cache control. */
public enum MemoryType {
    /** Uncacheable: goes to memory; a line that a cache holds is written back first. */
    UC,
    /** Write-back: served by the caches. */
    WB
}
