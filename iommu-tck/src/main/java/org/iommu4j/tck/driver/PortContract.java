// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

/** What a driver does with its ports: {@link org.iommu4j.spi.VendorContext}. */
public abstract class PortContract {
    /** Made by JUnit. */
    protected PortContract() {}
}
