// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

/** {@link org.iommu4j.Iommu#takeFaults} and quarantined frames. */
public abstract class FaultContract {
    /** Made by JUnit. */
    protected FaultContract() {}
}
