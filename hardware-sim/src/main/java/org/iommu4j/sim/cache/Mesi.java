// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.cache;

/** The state of a line in a cache. Source: Intel SDM volume 3, table "MESI Cache Line States". */
public enum Mesi {
    /** The only cached copy, written since it left memory. In the shared cache: written since it left memory. */
    MODIFIED,
    /** The only cached copy, not written. */
    EXCLUSIVE,
    /** One of possibly several copies, not written here. */
    SHARED,
    /** Not in this cache. */
    INVALID
}
