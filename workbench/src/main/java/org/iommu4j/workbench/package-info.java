// SPDX-License-Identifier: Apache-2.0

/**
 * The {@code iommu4j} command: {@code run}, {@code cases}, {@code audit}, {@code decode} and {@code capture}.
 *
 * <p>Guice wires {@code run} and {@code cases} here, once; {@code --help} and commands that only read files do not load
 * it. Cases, verdicts and audits are in other packages.
 */
package org.iommu4j.workbench;
