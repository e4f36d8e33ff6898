// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Promise;
import org.junit.jupiter.api.Test;

/** Random steps against an oracle: no reach outside the domain, nothing stale after a sync. */
public abstract class IsolationContract {
    /** Made by JUnit. */
    protected IsolationContract() {}

    @Test
    @Promise({"sync-2", "attach-1", "enforce-8"})
    void devicesReachWhatTheirDomainMapsAndNothingElseInRandomHistories(Bench bench) {
        new RandomHistory(bench).run();
    }
}
