// SPDX-License-Identifier: Apache-2.0

/**
 * The kit is tested: for each promise a saboteur breaks just that, and the kit has to notice it by that promise.
 *
 * <p>A {@link org.iommu4j.it.tck.Saboteur} is a change of a few calls between a driver, its ports and its silicon, made
 * by an {@link org.iommu4j.it.tck.Interposer}.
 */
package org.iommu4j.it.tck;
