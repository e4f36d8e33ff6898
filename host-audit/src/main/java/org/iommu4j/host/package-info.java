// SPDX-License-Identifier: Apache-2.0

/**
 * The known facts about a host, from any mix of inputs.
 *
 * <p>Read {@link org.iommu4j.host.HostEvidence} first: the facts, each with the input that states it. Then read
 * {@link org.iommu4j.host.Rank}: which input takes precedence where two differ. {@link org.iommu4j.host.HostInputs}
 * reads the running host, a directory, tar or zip with a {@code sys/} tree, with texts or both, ACPI tables as bytes or
 * as text of {@code acpidump} or {@code iasl}, and the text of {@code lspci}, of kernel logs, of listings of IOMMU
 * groups, of {@code virsh} and {@code pvesh}, and of registers in debugfs. One text may hold all of them, and pasted
 * text is mended before a reader sees it. {@link org.iommu4j.host.HostCapture} makes such a tar.
 *
 * <p>Of the logs that lie together the one of this boot is read: what {@code dmesg} printed before what a logger kept,
 * and that before one whose name is that of an earlier boot. Other compression than gzip's is refused by name. A
 * warning names what is not read.
 *
 * <p>An input is untrusted. Its size is bounded: 32 MiB of text; 4 MiB of a table; 16 MiB of a file; 256 MiB and
 * 200,000 entries of a capture, including all directories in their names; 4,096 characters of a path and of a link's
 * target; 512 MiB after expansion of links; 65,536 functions. Links are resolved inside it only. Nothing in it is
 * executed or fetched. Control characters do not reach a terminal. Files that may keep their reader waiting are not
 * opened. Lines end at every line end of Unicode, blanks are all that Unicode has, and a byte order mark and other
 * invisible characters are skipped.
 *
 * <p>A fact that no input states is unknown. Three facts follow from absence. A kernel log of the whole boot without a
 * line about interrupt remapping or an IOMMU shows that they are off. An empty {@code iommu_groups} directory shows
 * that no IOMMU is in use. A device without a {@code driver} link, in a tree that shows drivers, has no driver.
 *
 * <p>Functions below an Intel VMD, in domains of more than four digits, are functions of the host and members of the
 * VMD's group. The IOMMUs see only the VMD, so that they are in no topology.
 *
 * <p>Not modelled: a function that is known from text alone has the header type of an endpoint or of a bridge, and of
 * its configuration space only the parts that decide about groups, scopes and no-snoop. The vendors read the log lines
 * of their own IOMMU drivers ({@link org.iommu4j.spi.KernelLog}); lines that give no value are kept as text. The
 * running host's log is read from {@code /var/log/dmesg}, and where that is missing from {@code /dev/kmsg}, because
 * {@code dmesg} is not executed.
 */
package org.iommu4j.host;
