// SPDX-License-Identifier: Apache-2.0

/**
 * Intel VT-d's translation unit as silicon.
 *
 * <p>Written from the "Intel Virtualization Technology for Directed I/O" architecture specification: registers (chapter
 * 11), legacy-mode translation tables (chapters 3 and 9), the translation caches and their invalidation (chapter 6)
 * and fault logging (chapter 7). {@link org.iommu4j.sim.vtd.VtdUnitProvider} builds units with any capability values.
 */
package org.iommu4j.sim.vtd;
