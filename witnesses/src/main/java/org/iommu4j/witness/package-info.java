// SPDX-License-Identifier: Apache-2.0

/**
 * Witnesses: what our tests are compared with and nobody here wrote.
 *
 * <p>QEMU's units, and files that lie outside the repository: what real kernels answered and wrote, and tables,
 * registers and listings of real machines. A test asks {@link org.iommu4j.witness.SharedData} for a file and is skipped
 * where there is none, or fails where the build requires it. {@link org.iommu4j.witness.Witnesses} keeps the account,
 * of all modules' test JVMs in one file, and {@link org.iommu4j.witness.WitnessReport} prints it.
 */
package org.iommu4j.witness;
