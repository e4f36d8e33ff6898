// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import static org.iommu4j.bits.BitField.absolute;

import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Layout;

/**
 * A device table entry: 256 bits for each requester id.
 *
 * <p>Source: 48882, section 2.2.2, "Device Table". The bits of guest translation, page requests and
 * dirty tracking are not in the layout, which makes them reserved: the unit refuses an entry that uses them.
 */
final class DeviceTableEntry {
    static final int BYTES = 32;

    static final BitField V = absolute(0, 0, "V");
    static final BitField TV = absolute(1, 1, "TV");
    /** Levels of the table below: 0 none, 1 to 6, 7 reserved. */
    static final BitField MODE = absolute(11, 9, "Mode");

    static final BitField ROOT = absolute(51, 12, "HostPtRootPtr");
    static final BitField IR = absolute(61, 61, "IR");
    static final BitField IW = absolute(62, 62, "IW");
    static final BitField DOMAIN_ID = absolute(79, 64, "DomainID");
    /** The device may keep translations of its own (ATS). */
    static final BitField I = absolute(96, 96, "I");
    /** Suppress page fault events after the first. */
    static final BitField SE = absolute(97, 97, "SE");
    /** Suppress all page fault events. */
    static final BitField SA = absolute(98, 98, "SA");
    /** The exclusion range applies. */
    static final BitField EX = absolute(103, 103, "EX");

    static final Layout LAYOUT = Layout.of(
            "DTE",
            4,
            V,
            TV,
            MODE,
            ROOT,
            IR,
            IW,
            DOMAIN_ID,
            I,
            SE,
            SA,
            absolute(100, 99, "IoCtl"),
            absolute(101, 101, "Cache"),
            absolute(102, 102, "SD"),
            EX,
            absolute(105, 104, "SysMgt"),
            absolute(128, 128, "IV"),
            absolute(132, 129, "IntTabLen"),
            absolute(133, 133, "IG"),
            absolute(179, 134, "IntTabRootPtr"),
            absolute(184, 184, "InitPass"),
            absolute(185, 185, "EIntPass"),
            absolute(186, 186, "NMIPass"),
            absolute(189, 188, "IntCtl"),
            absolute(190, 190, "Lint0Pass"),
            absolute(191, 191, "Lint1Pass"));

    /** Reserved in the two words that V covers; the others are interrupt remapping's. */
    static final long RESERVED_0 = LAYOUT.reserved(0);

    static final long RESERVED_1 = LAYOUT.reserved(1);

    private DeviceTableEntry() {}
}
