// SPDX-License-Identifier: Apache-2.0

/**
 * What a virtual machine monitor knows of the IOMMU that it shows its guest: the format of the guest's tables, and the
 * words in which it passes them on. The only part of the command that knows a vendor's class.
 */
package org.iommu4j.workbench.vmm;
