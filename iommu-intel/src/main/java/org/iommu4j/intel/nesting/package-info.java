// SPDX-License-Identifier: Apache-2.0

/**
 * What a guest with a virtual VT-d unit passes to the real one: {@link org.iommu4j.intel.nesting.FirstStageTable} makes
 * a nested domain, {@link org.iommu4j.intel.nesting.FirstStageInvalidation} passes an invalidation on.
 */
package org.iommu4j.intel.nesting;
