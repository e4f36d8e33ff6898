// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.dma;

/**
 * Memory that a driver and its device share for long.
 *
 * @param physicalAddress where the driver finds it
 * @param dmaAddress where the device finds it
 * @param size bytes, as asked for
 */
public record CoherentBuffer(long physicalAddress, long dmaAddress, long size) {}
