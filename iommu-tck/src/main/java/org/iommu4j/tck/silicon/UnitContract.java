// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.silicon;

/** {@link org.iommu4j.sim.spi.TranslationUnit}. */
public abstract class UnitContract {
    /** Made by JUnit. */
    protected UnitContract() {}
}
