// SPDX-License-Identifier: Apache-2.0

/**
 * What is known of a host, from any mix of inputs.
 *
 * <p>Read {@link org.iommu4j.host.HostEvidence} first: what is known, each fact with the input that said it, and {@link
 * org.iommu4j.host.Rank}: which input takes precedence where two differ.
 * {@link org.iommu4j.host.HostInputs} fills it from the running host, a directory or tar with a {@code sys/}
 * tree, ACPI tables as bytes or as {@code acpidump} prints them, and the text of {@code lspci}, of kernel logs and of
 * listings of IOMMU groups. {@link org.iommu4j.host.HostCapture} makes such a tar.
 *
 * <p>An input is untrusted: its size is bounded (32 MiB of text, 4 MiB of a table, 16 MiB of a file and 256 MiB and
 * 200,000 entries of a capture, with all directories that their names name; 4,096 characters of a path and of where a
 * link leads; 512 MiB of what links make of it; 65,536 functions), links are resolved inside it only, nothing in it is
 * executed or fetched, control characters do not get to a terminal, and what may keep its reader waiting is not opened.
 * Lines end wherever Unicode has a line end, blanks are any that it knows, and a byte order mark and other invisible
 * characters are passed over. What an input does not tell is unknown. Three things follow from absence: a kernel log
 * that has the whole boot and says nothing of interrupt remapping or of an IOMMU says that they are off; an empty
 * {@code iommu_groups} directory says that no IOMMU is in use; a device without a {@code driver} link in a tree that
 * shows drivers has none.
 *
 * <p>Not modelled: functions in PCI domains of more than four digits (below an Intel VMD) are left out with a warning;
 * the header type of a function that is only known from text is that of an endpoint or of a bridge, and of its
 * configuration space only what decides about groups, scopes and no-snoop is there. What IOMMU drivers print into a log
 * is known to their vendors ({@link org.iommu4j.spi.KernelLog}), and what they don't turn into a value is kept as a
 * line. The running host's log is read where {@code /var/log/dmesg} is, for {@code dmesg} is not executed.
 */
package org.iommu4j.host;
