// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

/** {@link org.iommu4j.Iommu} as such: units, probing, capabilities, allocation, closing. */
public abstract class DriverContract {
    /** Made by JUnit. */
    protected DriverContract() {}
}
