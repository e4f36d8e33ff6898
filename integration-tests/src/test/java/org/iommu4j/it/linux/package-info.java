// SPDX-License-Identifier: Apache-2.0

/**
 * Our silicon and our drivers against tables that a real Linux wrote: memory dumps of Linux 6.1 on QEMU 7.2, with
 * an Intel unit with snoop control in legacy mode and in scalable mode (second stage), and with an AMD unit (host
 * tables).
 *
 * <p>The dumps are not part of the project, see {@link org.iommu4j.witness.SharedData}. Not here: first stage and AMD's
 * guest tables, of which there is no dump.
 */
package org.iommu4j.it.linux;
