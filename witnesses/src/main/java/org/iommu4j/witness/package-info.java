// SPDX-License-Identifier: Apache-2.0

/**
 * Witnesses: answers from outside this project with which our tests are compared.
 *
 * <p>Witnesses are QEMU's units, and files outside the repository: answers and tables of real kernels, and tables,
 * registers and listings of real machines. A test asks {@link org.iommu4j.witness.SharedData} for a file. It is skipped
 * where the file is absent, or fails where the build requires it. {@link org.iommu4j.witness.Witnesses} records the
 * result of all modules' test JVMs in one file, and {@link org.iommu4j.witness.WitnessReport} prints it.
 */
package org.iommu4j.witness;
