// SPDX-License-Identifier: Apache-2.0

/**
 * The built-in cases, one class each.
 *
 * <p>They tell the first stories of the no-snoop contract: who blocks it, who flushes, who is told, and what happens
 * when one of them does not do its part.
 */
package org.iommu4j.workbench.cases;
