// SPDX-License-Identifier: Apache-2.0

/**
 * Cases: short stories about DMA and caches that run on any machine.
 *
 * <p>{@link org.iommu4j.workbench.scenario.Case} is one story, {@link org.iommu4j.workbench.scenario.Scenario} the
 * machine with its driver, core, VFIO and KVM that it acts on. {@link org.iommu4j.workbench.scenario.CaseRunner} runs a
 * case and makes an {@link org.iommu4j.workbench.scenario.Outcome}. Cases read no files and know no vendor.
 */
package org.iommu4j.workbench.scenario;
