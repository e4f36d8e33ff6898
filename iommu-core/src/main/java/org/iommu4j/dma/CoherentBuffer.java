// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.dma;

/**
 * Memory that a driver and its device share for a long time.
 *
 * @param physicalAddress its address for the driver
 * @param dmaAddress its address for the device
 * @param size bytes, as requested
 */
public record CoherentBuffer(long physicalAddress, long dmaAddress, long size) {}
