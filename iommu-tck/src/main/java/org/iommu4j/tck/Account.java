// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import java.util.OptionalLong;

/** What a failure tells of its test beside the promise: the steps, and the seed that replays them. */
interface Account {
    /** Returns what the test did. */
    Steps steps();

    /** Returns the seed, if the test asked for random numbers. */
    OptionalLong seed();
}
