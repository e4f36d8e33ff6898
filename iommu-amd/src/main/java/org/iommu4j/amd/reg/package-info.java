// SPDX-License-Identifier: Apache-2.0

/**
 * AMD-Vi registers, 48882 section 3.4 (MMIO) and 3.2 (PCI capability): what the driver reads and writes.
 *
 * <p>Not here: exclusion ranges, guest virtual APIC logs, second logs, performance counters, MARC, segmented device tables.
 */
package org.iommu4j.amd.reg;
