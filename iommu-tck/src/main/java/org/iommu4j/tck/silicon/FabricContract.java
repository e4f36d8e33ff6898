// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.silicon;

/** {@link org.iommu4j.sim.spi.Fabric}, as a unit uses it. */
public abstract class FabricContract {
    /** Made by JUnit. */
    protected FabricContract() {}
}
