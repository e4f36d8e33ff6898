// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

/**
 * How far an input is believed, the most believed first.
 *
 * <p>Of two inputs that differ, the one of the higher rank takes precedence, with a warning. Two of one rank that
 * differ make unknown what they differ about: they are of two hosts, or of two times, and nothing shows which is meant.
 */
public enum Rank {
    /** The {@code sys/} and {@code proc/} of a host: Linux's own answer, from the time of the capture. */
    SYSFS,
    /** An ACPI table by itself, or acpidump: the firmware's word, of which Linux may have made something else. */
    TABLE,
    /** A kernel log: Linux's own answer at boot. */
    LOG,
    /** What lspci prints, and listings of groups, which are made with it: text of other tools, for people. */
    LSPCI
}
