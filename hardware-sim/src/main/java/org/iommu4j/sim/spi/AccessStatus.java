// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.spi;

/** Whether memory answers an access. */
public enum AccessStatus {
    /** There is memory, and its word is intact. */
    OK,
    /** There is no memory at the address. */
    ACCESS_FAULT,
    /** There is memory, and the word is corrupt beyond repair: an uncorrectable error. */
    POISON
}
