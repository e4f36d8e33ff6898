// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

/**
 * The precedence of an input, the highest first.
 *
 * <p>Where two inputs differ, the one of the higher rank takes precedence, with a warning. Where two of one rank
 * differ, the fact is unknown: they are of two hosts or of two times, and nothing shows which one is meant.
 */
public enum Rank {
    /** The {@code sys/} and {@code proc/} of a host, debugfs included: Linux's own answer, from when it was copied. */
    SYSFS,
    /** An ACPI table by itself, or acpidump: the firmware's statement, which Linux may have overridden. */
    TABLE,
    /** A kernel log: Linux's own answer at boot. */
    LOG,
    /** The output of lspci, virsh and pvesh, and listings of groups, made with lspci: text of tools, for people. */
    LSPCI
}
