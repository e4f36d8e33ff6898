// SPDX-License-Identifier: Apache-2.0

/**
 * What a vendor's tests inherit, and what they say of the vendor.
 *
 * <p>A test class extends {@link org.iommu4j.tck.DriverConformance} and lists {@link org.iommu4j.tck.Subject subjects}:
 * a machine and the {@link org.iommu4j.tck.Traits} of what the driver makes of it. Each test checks one promise of
 * {@code docs/contracts.md} or a few; its display name and its failure have their ids.
 */
package org.iommu4j.tck;
