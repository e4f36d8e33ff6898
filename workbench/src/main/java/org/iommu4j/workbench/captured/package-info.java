// SPDX-License-Identifier: Apache-2.0

/**
 * The machine that is made of a captured host.
 *
 * <p>What is known of the host comes from {@code org.iommu4j.host}.
 * {@link org.iommu4j.workbench.captured.CapturedMachine} describes the machine; each unit is recognised by the silicon
 * that can build it.
 */
package org.iommu4j.workbench.captured;
