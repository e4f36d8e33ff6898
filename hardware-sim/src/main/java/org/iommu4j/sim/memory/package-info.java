// SPDX-License-Identifier: Apache-2.0

/**
 * DRAM: the memory behind all caches.
 *
 * <p>Sparse, for one thread. Not modelled: channels, timing, errors, memory that is not contiguous from address 0.
 */
package org.iommu4j.sim.memory;
