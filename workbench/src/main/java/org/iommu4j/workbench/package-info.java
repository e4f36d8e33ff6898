// SPDX-License-Identifier: Apache-2.0

/**
 * The {@code iommu4j} command: {@code run} and {@code cases}.
 *
 * <p>Everything is wired here, once, by Guice; {@code --help} loads none of it. Not here: what a case does, and what a
 * verdict is.
 */
package org.iommu4j.workbench;
