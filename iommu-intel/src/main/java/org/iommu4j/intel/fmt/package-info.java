// SPDX-License-Identifier: Apache-2.0

/**
 * Structures in memory that the driver writes and the hardware reads, and fault records, the other way round.
 *
 * <p>Section numbers are of VT-d revision 3.3, chapters 6 and 9. Legacy mode only: scalable-mode root, context and
 * PASID entries and first-stage entries are not here.
 */
package org.iommu4j.intel.fmt;
