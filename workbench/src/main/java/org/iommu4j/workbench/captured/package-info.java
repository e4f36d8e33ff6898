// SPDX-License-Identifier: Apache-2.0

/**
 * Builds a machine from a captured host.
 *
 * <p>The facts about the host come from {@code org.iommu4j.host}.
 * {@link org.iommu4j.workbench.captured.CapturedMachine} describes the machine; each unit is recognised by the silicon
 * that can build it.
 */
package org.iommu4j.workbench.captured;
