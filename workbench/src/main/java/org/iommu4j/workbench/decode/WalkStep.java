// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.decode;

/**
 * An entry that points to a table.
 *
 * @param level counted from 1 for those that map the smallest pages
 * @param entryAddress physical address of the entry
 * @param entry its value
 */
public record WalkStep(int level, long entryAddress, long entry) {}
