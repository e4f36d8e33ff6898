// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.Map;
import java.util.Set;

/** Names of the classes that matter on hosts, for input without names. Source: PCI Code and ID Assignment. */
final class PciClasses {
    /** System peripheral, IOMMU: AMD's units have such a function. */
    static final int IOMMU = 0x0806;

    private static final Map<Integer, String> NAMES = Map.ofEntries(
            Map.entry(0x0100, "SCSI controller"),
            Map.entry(0x0101, "IDE controller"),
            Map.entry(0x0106, "SATA controller"),
            Map.entry(0x0107, "SAS controller"),
            Map.entry(0x0108, "NVMe controller"),
            Map.entry(0x0200, "Ethernet controller"),
            Map.entry(0x0280, "network controller"),
            Map.entry(0x0300, "VGA controller"),
            Map.entry(0x0302, "3D controller"),
            Map.entry(0x0380, "display controller"),
            Map.entry(0x0401, "audio controller"),
            Map.entry(0x0403, "HD audio"),
            Map.entry(0x0480, "multimedia controller"),
            Map.entry(0x0600, "host bridge"),
            Map.entry(0x0601, "ISA bridge"),
            Map.entry(0x0604, "PCI bridge"),
            Map.entry(0x0680, "bridge"),
            Map.entry(0x0780, "communication controller"),
            Map.entry(IOMMU, "IOMMU"),
            Map.entry(0x0880, "system peripheral"),
            Map.entry(0x0c03, "USB controller"),
            Map.entry(0x0c05, "SMBus controller"),
            Map.entry(0x0c80, "serial bus controller"),
            Map.entry(0x1080, "encryption controller"),
            Map.entry(0x1180, "signal processing controller"));

    private PciClasses() {}

    /** Returns whether a function may give up the memory that firmware wants mapped one to one: USB and graphics. */
    static boolean isRelaxable(int classCode) {
        return classCode == 0x0c03 || classCode >>> 8 == 0x03;
    }

    /** Bridges, and what chipsets and processors have for themselves. */
    private static final Set<Integer> OF_CHIPSET =
            Set.of(0x0500, 0x0580, 0x0780, 0x0880, 0x0c05, 0x0c80, 0x1080, 0x1101, 0x1180, 0x1300);

    /** Returns whether functions of a class are of the host alone: nobody gives them to a guest. */
    static boolean isOfChipset(int classCode) {
        return classCode >>> 8 == 0x06
                || (classCode >= 0x0800 && classCode <= 0x0807)
                || OF_CHIPSET.contains(classCode);
    }

    static String name(int classCode) {
        return NAMES.getOrDefault(classCode, String.format("class %04x", classCode));
    }
}
