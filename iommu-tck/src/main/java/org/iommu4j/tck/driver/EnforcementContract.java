// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

/** {@link org.iommu4j.capability.CacheCoherencyEnforcement}. */
public abstract class EnforcementContract {
    /** Made by JUnit. */
    protected EnforcementContract() {}
}
