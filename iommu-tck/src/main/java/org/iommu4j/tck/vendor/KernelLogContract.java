// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.vendor;

/** {@link org.iommu4j.spi.KernelLog}. */
public abstract class KernelLogContract {
    /** Made by JUnit. */
    protected KernelLogContract() {}
}
