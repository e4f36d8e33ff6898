// SPDX-License-Identifier: Apache-2.0

/** A RISC-V machine as a whole: driver, silicon, core, the DMA API and VFIO. */
package org.iommu4j.it.riscv;
