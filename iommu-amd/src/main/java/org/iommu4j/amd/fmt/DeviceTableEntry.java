// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd.fmt;

import static org.iommu4j.bits.BitField.absolute;

import org.iommu4j.bits.BitField;
import org.iommu4j.bits.Layout;
import org.iommu4j.bits.SplitField;

/**
 * A device table entry, 48882 section 2.2.2.1: 256 bits per requester id.
 *
 * <p>With {@link #V} clear the device is not translated at all. To block it, V and TV are set with mode 0 and neither
 * read nor write permission.
 */
public final class DeviceTableEntry {
    /** Valid: the first two words, up to bit 127, have an effect. */
    public static final BitField V = absolute(0, 0, "V");
    /** Translation valid: the translation fields have an effect. */
    public static final BitField TV = absolute(1, 1, "TV");
    /** Host access and dirty tracking; both bits are for dirty pages. */
    public static final BitField HAD = absolute(8, 7, "HAD");
    /** Levels of the host page table; 0 is no translation, under {@link #IR} and {@link #IW}. */
    public static final BitField MODE = absolute(11, 9, "Mode");
    /** Host page table root. */
    public static final BitField HOST_ROOT = absolute(51, 12, "HostPageTableRootPtr");
    /** Page requests. */
    public static final BitField PPR = absolute(52, 52, "PPR");
    /** Guest responses carry a PASID. */
    public static final BitField GPRP = absolute(53, 53, "GPRP");
    /** Guest I/O protection. */
    public static final BitField GIOV = absolute(54, 54, "GIoV");
    /** Guest translation. */
    public static final BitField GV = absolute(55, 55, "GV");
    /** Guest levels of GCR3. */
    public static final BitField GLX = absolute(57, 56, "GLX");
    /** I/O read permission. */
    public static final BitField IR = absolute(61, 61, "IR");
    /** I/O write permission. */
    public static final BitField IW = absolute(62, 62, "IW");
    /** Domain id, the tag of cached entries. */
    public static final BitField DOMAIN_ID = absolute(79, 64, "DomainID");
    /** Device IOTLB (ATS). */
    public static final BitField I = absolute(96, 96, "I");
    /** Suppress one fault's event. */
    public static final BitField SE = absolute(97, 97, "SE");
    /** Suppress all I/O page fault events. */
    public static final BitField SA = absolute(98, 98, "SA");
    /** Port I/O control. */
    public static final BitField IO_CTL = absolute(100, 99, "IoCtl");
    /** Cache hint. */
    public static final BitField CACHE = absolute(101, 101, "Cache");
    /** Snoop disable, of accesses to the tables. */
    public static final BitField SD = absolute(102, 102, "SD");
    /** Exclusion range allowed. */
    public static final BitField EX = absolute(103, 103, "EX");
    /** System management messages. */
    public static final BitField SYS_MGT = absolute(105, 104, "SysMgt");
    /** Interrupt map valid. */
    public static final BitField IV = absolute(128, 128, "IV");
    /** Interrupt table length. */
    public static final BitField INT_TAB_LEN = absolute(132, 129, "IntTabLen");
    /** Ignore unmapped interrupts. */
    public static final BitField IG = absolute(133, 133, "IG");
    /** Interrupt table root. */
    public static final BitField INT_TAB_ROOT = absolute(179, 134, "IntTabRootPtr");
    /** Guest paging mode. */
    public static final BitField GUEST_PAGING_MODE = absolute(183, 182, "GuestPagingMode");
    /** INIT passes. */
    public static final BitField INIT_PASS = absolute(184, 184, "InitPass");
    /** External interrupts pass. */
    public static final BitField EINT_PASS = absolute(185, 185, "EIntPass");
    /** NMI passes. */
    public static final BitField NMI_PASS = absolute(186, 186, "NMIPass");
    /** Interrupt control. */
    public static final BitField INT_CTL = absolute(189, 188, "IntCtl");
    /** LINT0 passes. */
    public static final BitField LINT0_PASS = absolute(190, 190, "Lint0Pass");
    /** LINT1 passes. */
    public static final BitField LINT1_PASS = absolute(191, 191, "Lint1Pass");

    private static final BitField GCR3_LOW = absolute(60, 58, "GCR3TRP[14:12]");
    private static final BitField GCR3_MIDDLE = absolute(95, 80, "GCR3TRP[30:15]");
    private static final BitField GCR3_HIGH = absolute(127, 107, "GCR3TRP[51:31]");

    /** Guest CR3 table root, in pages; scattered over two words. */
    public static final SplitField GCR3_ROOT = SplitField.of("GCR3TRP", GCR3_LOW, GCR3_MIDDLE, GCR3_HIGH);

    /** The entry. */
    public static final Layout LAYOUT = Layout.of(
            "DTE (48882 2.2.2.1)",
            4,
            V,
            TV,
            HAD,
            MODE,
            HOST_ROOT,
            PPR,
            GPRP,
            GIOV,
            GV,
            GLX,
            GCR3_LOW,
            IR,
            IW,
            DOMAIN_ID,
            GCR3_MIDDLE,
            I,
            SE,
            SA,
            IO_CTL,
            CACHE,
            SD,
            EX,
            SYS_MGT,
            GCR3_HIGH,
            IV,
            INT_TAB_LEN,
            IG,
            INT_TAB_ROOT,
            GUEST_PAGING_MODE,
            INIT_PASS,
            EINT_PASS,
            NMI_PASS,
            INT_CTL,
            LINT0_PASS,
            LINT1_PASS);

    /** Bytes of an entry. */
    public static final int BYTES = 32;

    /** Word 0 of an entry that lets nothing through. */
    public static final long BLOCKED = V.mask() | TV.mask();

    /** Word 0 of an entry that passes every address unchanged. */
    public static final long IDENTITY = BLOCKED | IR.mask() | IW.mask();

    /** Bits of word 1 about translation; the others are about interrupts and messages. */
    public static final long TRANSLATION_1 = DOMAIN_ID.mask() | GCR3_MIDDLE.mask() | I.mask() | GCR3_HIGH.mask();

    /** Bits of word 2 about translation; the others are about interrupts. */
    public static final long TRANSLATION_2 = GUEST_PAGING_MODE.mask();

    private DeviceTableEntry() {}

    /** Returns word 0 of an entry that translates by a host table with a number of levels. */
    public static long paging(long root, int levels) {
        return IDENTITY | MODE.of(levels) | root;
    }

    /**
     * Returns the bits of word 0 for guest tables.
     *
     * @param gcr3Root physical address of the GCR3 table
     * @param gcr3Levels its levels, 1 to 3
     */
    public static long guest0(long gcr3Root, int gcr3Levels) {
        return GV.mask() | GLX.of(gcr3Levels - 1) | GCR3_LOW.of(gcr3Root >>> 12 & GCR3_LOW.max());
    }

    /** Returns the bits of word 1 for guest tables: the rest of the GCR3 table's address. */
    public static long guest1(long gcr3Root) {
        return GCR3_MIDDLE.of(gcr3Root >>> 15 & GCR3_MIDDLE.max()) | GCR3_HIGH.of(gcr3Root >>> 31 & GCR3_HIGH.max());
    }

    /** Returns the bits of word 2 for guest tables of 4 or 5 levels. */
    public static long guest2(int levels) {
        return GUEST_PAGING_MODE.of(levels - 4);
    }
}
