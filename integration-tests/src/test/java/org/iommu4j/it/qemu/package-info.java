// SPDX-License-Identifier: Apache-2.0

/**
 * Our drivers on QEMU's units, and our silicon beside them: what one witness says the other must say too.
 *
 * <p>{@link org.iommu4j.it.qemu.QemuMachine} is the platform's ports over QEMU's qtest socket; a {@link
 * org.iommu4j.it.qemu.Pair} takes the same steps there and on hardware-sim and compares every answer. Start with {@code
 * VtdDriverIT}. {@code VtdSweepIT} needs no driver: it compares the units themselves, entry by entry. What QEMU does
 * its own way is listed in {@code docs/qemu.md} and asserted by tests whose names begin with {@code qemu}.
 *
 * <p>A class that is annotated {@link org.iommu4j.it.qemu.OnEachQemu} runs on each QEMU of the build and starts
 * machines in its {@link org.iommu4j.it.qemu.QemuLab}, which stops them.
 *
 * <p>Not here: coherence, of which QEMU, without caches, is no witness; interrupts; PASIDs; AMD's guest tables.
 */
package org.iommu4j.it.qemu;
