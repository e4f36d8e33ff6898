// SPDX-License-Identifier: Apache-2.0

/** The conformance kit on the RISC-V IOMMU. */
package org.iommu4j.riscv.conformance;
