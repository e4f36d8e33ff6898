// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.silicon;

/** {@link org.iommu4j.sim.spi.TableReader}. */
public abstract class TableReaderContract {
    /** Made by JUnit. */
    protected TableReaderContract() {}
}
