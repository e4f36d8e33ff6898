// SPDX-License-Identifier: Apache-2.0

/**
 * Our silicon and our drivers against tables that a real Linux wrote: memory dumps of Linux 6.1 on QEMU 7.2, one with an Intel
 * unit in legacy mode and snoop control, one with an AMD unit.
 *
 * <p>The dumps are not part of the project; without them, in the directory that the system property {@code iommu4j.shared}
 * names, the tests are skipped. Not here: scalable mode.
 */
package org.iommu4j.it.linux;
