// SPDX-License-Identifier: Apache-2.0

/**
 * AMD-Vi structures in memory, bit by bit: what the driver encodes.
 *
 * <p>One class per structure of the AMD IOMMU specification (48882, revision 3.08): device table entry, GCR3 entry,
 * host (v1) and guest (v2) page table entry, command, event. Bits that Linux never sets are named where naming them makes a decoded word readable.
 *
 * <p>Not here: interrupt remapping entries, PPR log entries.
 */
package org.iommu4j.amd.fmt;
