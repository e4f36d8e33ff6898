// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

/** {@link org.iommu4j.capability.DirtyTracking}. */
public abstract class DirtyTrackingContract {
    /** Made by JUnit. */
    protected DirtyTrackingContract() {}
}
