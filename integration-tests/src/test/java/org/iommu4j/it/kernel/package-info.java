// SPDX-License-Identifier: Apache-2.0

/**
 * What real kernels answer, asked again of ours: kernels run in QEMU, and programs call them.
 *
 * <p>For what they answered once, start at {@link org.iommu4j.it.kernel.Transcript}. A live kernel answers random
 * sequences of calls: start at {@link org.iommu4j.it.kernel.LiveVfioIT}, and for emulated WBINVDs
 * at {@link org.iommu4j.it.kernel.LiveWbinvdIT}.
 */
package org.iommu4j.it.kernel;
