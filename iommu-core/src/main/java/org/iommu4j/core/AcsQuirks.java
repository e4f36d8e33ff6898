// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.core;

import java.util.Set;
import java.util.TreeSet;
import org.iommu4j.pci.ConfigSpace;

/**
 * Functions that Linux treats as isolated although they have no ACS capability that states it.
 *
 * <p>Source: {@code pci_dev_acs_enabled} in Linux {@code drivers/pci/quirks.c}, 7.0. Two kinds of quirks are left out:
 * those of other platforms than Intel's and AMD's, and those added after 5.15. So each release isolates at least what
 * this class reports.
 */
final class AcsQuirks {
    private static final int VENDOR_INTEL = 0x8086;
    private static final int ACS_CONTROL = 6;
    private static final int ACS_CONTROL_OF_DWORDS = 8;

    /** Network cards whose makers state that their functions pass nothing to each other. */
    private static final Set<Integer> CARDS = ids("""
            8086 10c6 10db 10dd 10e1 10f1 10f7-10fc 1507 1514 151c 1529 152a 154d 154f 1551 1558
            8086 1509 150e-1511 1516 1527
            8086 10c9 10e6-10e8 150a 150d 1518 1526
            8086 10a7 10a9 10d6 1521-1524 105e-1060 10d9 15b7 15b8
            1924 0903 0923 0a03
            19a2 0710
            10df 0720
            14e4 16d7
            """);

    /** Functions of AMD's south bridges, on the root bus of hosts that have an IVRS. */
    private static final Set<Integer> SOUTH_BRIDGES = ids("""
            1002 4383-4385 4399 439c 439d
            1022 7809 780f
            """);

    /** Root ports of the 5 to 9 series: Linux turns their isolation on through the chipset's own registers. */
    private static final Set<Integer> OLD_ROOT_PORTS = ids("""
            8086 3b42-3b51 1c10-1c1f 1e10-1e1f 8c10-8c1f 9c10-9c1b 9c90-9c9b 8d10-8d1e
            8086 1d10 1d12 1d14 1d16 1d18 1d1a 1d1c 1d1e 8c90 8c92 8c94 8c96 8c98 8c9a 8c9c 8c9e
            """);

    /** Root ports of the 100 and 200 series: their ACS registers have 32 bits, the specification 16. */
    private static final Set<Integer> WIDE_ROOT_PORTS = ids("""
            8086 a110-a11f a167-a16a a290-a29f a2e7-a2ee 9d10-9d1b
            """);

    private AcsQuirks() {}

    /** Returns whether a quirk makes a function isolated, whatever its capabilities state. */
    static boolean isolates(PciNode node) {
        int id = id(node.function().config());
        if (SOUTH_BRIDGES.contains(id)) {
            return node.multiFunction() && node.bridge() == null;
        }
        return CARDS.contains(id)
                || (node.kind() == PciNode.Kind.ROOT_COMPLEX_ENDPOINT && id >>> 16 == VENDOR_INTEL)
                || (node.kind() == PciNode.Kind.ROOT_PORT && OLD_ROOT_PORTS.contains(id));
    }

    /** Returns the offset of a function's ACS control from its capability, in bytes. */
    static int controlOffset(PciNode.Kind kind, ConfigSpace config) {
        return kind == PciNode.Kind.ROOT_PORT && WIDE_ROOT_PORTS.contains(id(config))
                ? ACS_CONTROL_OF_DWORDS
                : ACS_CONTROL;
    }

    private static int id(ConfigSpace config) {
        return config.read(0, 2) << 16 | config.read(2, 2);
    }

    /** Parses lines of a vendor and its devices; a hyphen joins the first and the last of a range. */
    private static Set<Integer> ids(String lines) {
        Set<Integer> ids = new TreeSet<>();
        for (String line : lines.lines().toList()) {
            int vendor = Integer.parseInt(line.substring(0, 4), 16);
            for (String device : line.substring(5).split(" ", -1)) {
                int first = Integer.parseInt(device.substring(0, 4), 16);
                int last = Integer.parseInt(device.substring(device.length() - 4), 16);
                for (int each = first; each <= last; each++) {
                    ids.add(vendor << 16 | each);
                }
            }
        }
        return Set.copyOf(ids);
    }
}
