// SPDX-License-Identifier: Apache-2.0

/** The DMA API over the vendors' drivers and silicon: what a device reaches, and when it no longer does. */
package org.iommu4j.it.dma;
