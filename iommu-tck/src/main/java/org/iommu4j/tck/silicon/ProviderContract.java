// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.silicon;

/** {@link org.iommu4j.sim.spi.TranslationUnitProvider}. */
public abstract class ProviderContract {
    /** Made by JUnit. */
    protected ProviderContract() {}
}
