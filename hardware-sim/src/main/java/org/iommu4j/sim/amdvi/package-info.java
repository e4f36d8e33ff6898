// SPDX-License-Identifier: Apache-2.0

/**
 * The AMD-Vi translation unit as silicon, from the AMD I/O Virtualization Technology (IOMMU) Specification, 48882.
 *
 * <p>It enters a machine through {@link org.iommu4j.sim.amdvi.AmdViUnitProvider} alone.
 */
package org.iommu4j.sim.amdvi;
