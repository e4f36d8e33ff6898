// SPDX-License-Identifier: Apache-2.0

/**
 * Processors, and memory as each processor sees it: adapters through which drivers, KVM and guests use the caches.
 *
 * <p>A processor's accesses take effect at once and in order, except for stores to write-combining memory, CLFLUSHOPT
 * and CLWB, which wait for a fence. Not modelled: store buffers, speculation, instructions other than those of {@link
 * org.iommu4j.platform.Processor}, address translation.
 */
package org.iommu4j.sim.cpu;
