// SPDX-License-Identifier: Apache-2.0

/**
 * The built-in cases, one class each.
 *
 * <p>They run the basic stories of the no-snoop contract: the domain blocks no-snoop, the guest flushes, the VMM adds
 * the group to KVM, and one of these parts is missing.
 */
package org.iommu4j.workbench.cases;
