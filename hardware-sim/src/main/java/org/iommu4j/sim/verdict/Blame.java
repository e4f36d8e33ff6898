// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.verdict;

/** The party that broke the contract. */
public enum Blame {
    /** The guest's driver did not ask for the cache maintenance that its device needs. */
    GUEST_DRIVER,
    /** The guest's driver asked for it, but the host did not do it. */
    HOST
}
