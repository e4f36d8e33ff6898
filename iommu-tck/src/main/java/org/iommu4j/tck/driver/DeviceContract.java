// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

/** {@link org.iommu4j.IommuDevice}. */
public abstract class DeviceContract {
    /** Made by JUnit. */
    protected DeviceContract() {}
}
