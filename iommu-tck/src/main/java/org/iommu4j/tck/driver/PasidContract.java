// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

/** {@link org.iommu4j.capability.PasidAttachment}. */
public abstract class PasidContract {
    /** Made by JUnit. */
    protected PasidContract() {}
}
