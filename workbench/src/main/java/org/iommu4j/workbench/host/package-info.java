// SPDX-License-Identifier: Apache-2.0

/**
 * Captured hosts: a directory or tar with a Linux {@code sys/} tree, and the machine built from it.
 *
 * <p>A capture is untrusted input: sizes are bounded, links are resolved inside it only, and nothing in it is executed.
 * What the capture does not tell is refused, save for one thing: without a kernel log interrupts count as remapped where
 * the hardware can. Not read here: lspci texts, bare kernel logs and bare ACPI
 * tables.
 */
package org.iommu4j.workbench.host;
