// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

/** Random steps against an oracle: no reach outside the domain, nothing stale after a sync. */
public abstract class IsolationContract {
    /** Made by JUnit. */
    protected IsolationContract() {}
}
