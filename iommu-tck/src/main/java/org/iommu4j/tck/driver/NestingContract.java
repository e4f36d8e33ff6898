// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

/** {@link org.iommu4j.capability.Nesting} and {@link org.iommu4j.capability.GuestInvalidation}. */
public abstract class NestingContract {
    /** Made by JUnit. */
    protected NestingContract() {}
}
