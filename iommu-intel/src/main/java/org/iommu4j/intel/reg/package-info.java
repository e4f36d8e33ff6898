// SPDX-License-Identifier: Apache-2.0

/**
 * The remapping hardware's registers as the driver uses them, and the capability registers decoded.
 *
 * <p>Section numbers are of VT-d revision 3.3, chapter 11. Not modelled: page request, interrupt remapping, event
 * registers of the queue, performance monitoring, enhanced command and virtual command registers.
 */
package org.iommu4j.intel.reg;
