// SPDX-License-Identifier: Apache-2.0

/**
 * What real kernels answered, asked again of ours: the kernels ran in QEMU, and programs called them.
 *
 * <p>Start at {@link org.iommu4j.it.kernel.Transcript}.
 */
package org.iommu4j.it.kernel;
