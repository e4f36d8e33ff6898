// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Recognizes what shows that Xen has a host's IOMMU: what a Linux prints that Xen runs, and Xen's own log.
 *
 * <p>Source: Linux {@code arch/x86/kernel/paravirt.c} and {@code arch/x86/xen/enlighten.c}; Xen
 * {@code drivers/passthrough/vtd/iommu.c} (intel_iommu_init).
 */
final class Xen {
    /** The hypervisor's name for people. */
    static final String NAME = "Xen";

    /** What stands before each message of Xen in {@code xl dmesg} and on a serial console. */
    private static final String OWN = "(XEN)";

    private static final String KERNEL_ON = "Booting paravirtualized kernel on Xen";
    private static final String VERSION = "Xen version: ";
    private static final String DETECTED = "Hypervisor detected: Xen";
    private static final String SNOOP = "Intel VT-d Snoop Control ";

    /** Words of which each such line has one. */
    static final List<String> WORDS = List.of(OWN, KERNEL_ON, VERSION, DETECTED);

    private Xen() {}

    /** Returns whether a line shows that Xen runs there. */
    static boolean shows(String line) {
        return WORDS.stream().anyMatch(line::contains);
    }

    /** Returns whether a line is Xen's own; what looks like a Linux driver's in it is not Linux's. */
    static boolean isOwn(String line) {
        return line.contains(OWN);
    }

    /** Returns whether a line of Xen's states that it blocks no-snoop, null where it does not say. */
    static @Nullable Boolean blocksNoSnoop(String line) {
        int at = line.indexOf(SNOOP);
        if (at < 0 || !isOwn(line)) {
            return null;
        }
        return line.startsWith("enabled", at + SNOOP.length());
    }
}
