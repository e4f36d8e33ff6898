// SPDX-License-Identifier: Apache-2.0

/** What VFIO's packages share, and nobody else has: {@link org.iommu4j.vfio.support.Failures}. */
@org.jspecify.annotations.NullMarked
package org.iommu4j.vfio.support;
