// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

/**
 * The reasons for blocked requests, by the manual's codes.
 *
 * <p>Source: VT-d 7.1.3 (DMA remapping fault conditions) and the table of fault reasons in the appendix. From 0x30 on
 * they belong to scalable mode; the manual's short names precede them.
 */
final class FaultReason {
    /** The root entry is not present. */
    static final int ROOT_NOT_PRESENT = 0x1;
    /** The context entry is not present. */
    static final int CONTEXT_NOT_PRESENT = 0x2;
    /** The context entry's AW or TT is not supported, or its top-level table can't be read. */
    static final int CONTEXT_INVALID = 0x3;
    /** The address is beyond the lesser of CAP.MGAW and the context entry's AW. */
    static final int ADDRESS_BEYOND = 0x4;
    /** No permission to write. */
    static final int WRITE = 0x5;
    /** No permission to read. */
    static final int READ = 0x6;
    /** A paging entry below the top level can't be read. */
    static final int TABLE_ACCESS = 0x7;
    /** The root entry can't be read. */
    static final int ROOT_ACCESS = 0x8;
    /** The context entry can't be read. */
    static final int CONTEXT_ACCESS = 0x9;
    /** A reserved bit in a present root entry. */
    static final int ROOT_RESERVED = 0xa;
    /** A reserved bit in a present context entry. */
    static final int CONTEXT_RESERVED = 0xb;
    /** A reserved bit in a paging entry with R or W. */
    static final int ENTRY_RESERVED = 0xc;
    /** A translation request or a translated request where the context entry allows no device TLB. */
    static final int DEVICE_TLB_BLOCKED = 0xd;
    /** The translated address lies in the interrupt address range. */
    static final int OUTPUT_INTERRUPT_RANGE = 0xe;

    /** RTADDR.TTM selects a mode that the unit doesn't have. */
    static final int ROOT_TABLE_MODE = 0x30;
    /** A request with PASID in legacy mode. */
    static final int PASID_IN_LEGACY_MODE = 0x31;
    /** A page request in legacy mode. */
    static final int PAGE_REQUEST_IN_LEGACY_MODE = 0x32;

    /** SRT.1: the root entry can't be read. */
    static final int SM_ROOT_ACCESS = 0x38;
    /** SRT.2: the half of the root entry that covers the requester is not present. */
    static final int SM_ROOT_NOT_PRESENT = 0x39;
    /** SRT.3: a reserved bit in a present half of a root entry. */
    static final int SM_ROOT_RESERVED = 0x3a;
    /** SCT.1: the context entry can't be read. */
    static final int SM_CONTEXT_ACCESS = 0x40;
    /** SCT.2: the context entry is not present. */
    static final int SM_CONTEXT_NOT_PRESENT = 0x41;
    /** SCT.3: a reserved bit in a present context entry. */
    static final int SM_CONTEXT_RESERVED = 0x42;
    /** SCT.5: a translation request or a translated request, and DTE is clear. */
    static final int SM_DEVICE_TLB_BLOCKED = 0x44;
    /** SCT.6: a request with PASID, and PASIDE is clear. */
    static final int SM_PASID_DISABLED = 0x45;
    /** SCT.7: PDTS does not cover the PASID. */
    static final int SM_PASID_BEYOND = 0x46;
    /** SCT.8: a page request, and PRE is clear. */
    static final int SM_PAGE_REQUEST_BLOCKED = 0x47;
    /** SCT.9: PDTS does not cover RID_PASID. */
    static final int SM_RID_PASID = 0x48;
    /** SPD.1: the PASID directory entry can't be read. */
    static final int SM_DIRECTORY_ACCESS = 0x50;
    /** SPD.2: the PASID directory entry is not present. */
    static final int SM_DIRECTORY_NOT_PRESENT = 0x51;
    /** SPD.3: a reserved bit in a present PASID directory entry. */
    static final int SM_DIRECTORY_RESERVED = 0x52;
    /** SPT.1: the PASID table entry can't be read. */
    static final int SM_PASID_ACCESS = 0x58;
    /** SPT.2: the PASID table entry is not present. */
    static final int SM_PASID_NOT_PRESENT = 0x59;
    /** SPT.3: a reserved bit in a present PASID table entry. */
    static final int SM_PASID_RESERVED = 0x5a;
    /** SPT.4: the PASID table entry demands features that the unit doesn't have, by PGTT, AW or FSPM. */
    static final int SM_PASID_INVALID = 0x5b;
    /** SFS.1: a first-stage entry below the top level can't be read. */
    static final int FS_ACCESS = 0x70;
    /** SFS.2: a first-stage entry is not present. */
    static final int FS_NOT_PRESENT = 0x71;
    /** SFS.3: a reserved bit in a present first-stage entry. */
    static final int FS_RESERVED = 0x72;
    /** SFS.4: the top-level first-stage table can't be read. */
    static final int FS_TOP_ACCESS = 0x73;
    /** SFS.5: a first-stage table lies beyond the second stage's width. */
    static final int FS_TABLE_BEYOND = 0x74;
    /** SFS.6: the second stage doesn't let the unit read the top-level first-stage table. */
    static final int FS_TOP_READ = 0x75;
    /** SFS.7: the second stage doesn't let the unit read a first-stage table below the top. */
    static final int FS_READ = 0x76;
    /** SFS.8: the second stage doesn't let the unit write a first-stage entry's flags. */
    static final int FS_WRITE = 0x77;
    /** SSS.1: a second-stage entry below the top level can't be read. */
    static final int SS_ACCESS = 0x78;
    /** SSS.2: the second stage maps nothing. */
    static final int SS_NOT_PRESENT = 0x79;
    /** SSS.3: a reserved bit in a second-stage entry with R or W. */
    static final int SS_RESERVED = 0x7a;
    /** SSS.4: the top-level second-stage table can't be read. */
    static final int SS_TOP_ACCESS = 0x7b;
    /** SSS.5: a second-stage entry's flags must be set, and page walks are not snooped. */
    static final int SS_FLAGS_NOT_SNOOPED = 0x7c;
    /** SGN.1: an address that is not canonical for the first stage. */
    static final int NOT_CANONICAL = 0x80;
    /** SGN.2: a user's request to a supervisor's page. */
    static final int FS_SUPERVISOR = 0x81;
    /** SGN.4: the address is beyond the second stage's width, or the host's in pass-through. */
    static final int SM_ADDRESS_BEYOND = 0x83;
    /** SGN.5: the first stage's output is beyond the second stage's width. */
    static final int SM_NESTED_BEYOND = 0x84;
    /** SGN.6: no permission to write. */
    static final int SM_WRITE = 0x85;
    /** SGN.7: no permission to read. */
    static final int SM_READ = 0x86;
    /** SGN.8: the translated address lies in the interrupt address range. */
    static final int SM_OUTPUT_INTERRUPT_RANGE = 0x87;
    /** SFS.9: a first-stage entry's flags must be set, and page walks are not snooped. */
    static final int FS_FLAGS_NOT_SNOOPED = 0x90;

    /** Own code: the address lies in a protected memory region. The manual has no code for it; nothing is recorded. */
    static final int PROTECTED_MEMORY = 0xff;

    private FaultReason() {}

    /**
     * Returns whether FPD can suppress recording: whether the condition was found with an entry that has FPD.
     */
    static boolean isQualified(int reason) {
        return switch (reason) {
            case ROOT_NOT_PRESENT,
                    ROOT_ACCESS,
                    CONTEXT_ACCESS,
                    ROOT_RESERVED,
                    ROOT_TABLE_MODE,
                    PASID_IN_LEGACY_MODE,
                    PAGE_REQUEST_IN_LEGACY_MODE,
                    SM_ROOT_ACCESS,
                    SM_ROOT_NOT_PRESENT,
                    SM_ROOT_RESERVED,
                    SM_CONTEXT_ACCESS,
                    SM_DIRECTORY_ACCESS,
                    SM_PASID_ACCESS -> false;
            default -> true;
        };
    }

    /**
     * Returns scalable mode's reason for a second-stage walk's legacy reason.
     *
     * @param refusesAll whether nothing is mapped, for any request
     */
    static int inScalableMode(int reason, boolean refusesAll) {
        return switch (reason) {
            case CONTEXT_INVALID -> SS_TOP_ACCESS;
            case WRITE -> refusesAll ? SS_NOT_PRESENT : SM_WRITE;
            case READ -> refusesAll ? SS_NOT_PRESENT : SM_READ;
            case TABLE_ACCESS -> SS_ACCESS;
            case ENTRY_RESERVED -> SS_RESERVED;
            default -> reason;
        };
    }

    /**
     * Returns whether an ATS translation request is answered without rights and no fault is recorded: the device may
     * send a page request.
     */
    static boolean isAnsweredWithoutRights(int reason) {
        return switch (reason) {
            case WRITE, READ, FS_NOT_PRESENT, SS_NOT_PRESENT, FS_SUPERVISOR, SM_WRITE, SM_READ -> true;
            default -> false;
        };
    }

    /** Describes a code. */
    static String describe(int reason) {
        return switch (reason) {
            case ROOT_NOT_PRESENT, SM_ROOT_NOT_PRESENT -> "root entry not present";
            case CONTEXT_NOT_PRESENT, SM_CONTEXT_NOT_PRESENT -> "context entry not present";
            case CONTEXT_INVALID ->
                "context entry invalid: AW or TT not supported, or the top-level table is no memory";
            case ADDRESS_BEYOND, SM_ADDRESS_BEYOND -> "address beyond the width of the tables";
            case WRITE, SM_WRITE -> "no write permission";
            case READ, SM_READ -> "no read permission";
            case TABLE_ACCESS, SS_ACCESS -> "second-stage table is no memory";
            case ROOT_ACCESS, SM_ROOT_ACCESS -> "root table is no memory";
            case CONTEXT_ACCESS, SM_CONTEXT_ACCESS -> "context table is no memory";
            case ROOT_RESERVED, SM_ROOT_RESERVED -> "reserved bits in the root entry";
            case CONTEXT_RESERVED, SM_CONTEXT_RESERVED -> "reserved bits in the context entry";
            case ENTRY_RESERVED, SS_RESERVED -> "reserved bits in a second-stage entry";
            case DEVICE_TLB_BLOCKED, SM_DEVICE_TLB_BLOCKED -> "translation requests are blocked";
            case OUTPUT_INTERRUPT_RANGE, SM_OUTPUT_INTERRUPT_RANGE -> "translated into the interrupt range";
            case ROOT_TABLE_MODE -> "root table mode not supported";
            case PASID_IN_LEGACY_MODE -> "request with PASID in legacy mode";
            case PAGE_REQUEST_IN_LEGACY_MODE -> "page request in legacy mode";
            case SM_PASID_DISABLED -> "requests with PASID are not enabled";
            case SM_PASID_BEYOND -> "PASID beyond the directory";
            case SM_PAGE_REQUEST_BLOCKED -> "page requests are blocked";
            case SM_RID_PASID -> "RID_PASID beyond the directory";
            case SM_DIRECTORY_ACCESS -> "PASID directory is no memory";
            case SM_DIRECTORY_NOT_PRESENT -> "PASID directory entry not present";
            case SM_DIRECTORY_RESERVED -> "reserved bits in the PASID directory entry";
            case SM_PASID_ACCESS -> "PASID table is no memory";
            case SM_PASID_NOT_PRESENT -> "PASID table entry not present";
            case SM_PASID_RESERVED -> "reserved bits in the PASID table entry";
            case SM_PASID_INVALID -> "PASID table entry invalid: PGTT, AW or FSPM not supported";
            case FS_ACCESS -> "first-stage table is no memory";
            case FS_NOT_PRESENT -> "first-stage entry not present";
            case FS_RESERVED -> "reserved bits in a first-stage entry";
            case FS_TOP_ACCESS -> "top-level first-stage table is no memory";
            case FS_TABLE_BEYOND -> "first-stage table beyond the width of the second stage";
            case FS_TOP_READ -> "second stage gives no read permission for the top-level first-stage table";
            case FS_READ -> "second stage gives no read permission for a first-stage table";
            case FS_WRITE -> "second stage gives no write permission for a first-stage entry's flags";
            case SS_NOT_PRESENT -> "second stage maps nothing";
            case SS_TOP_ACCESS -> "top-level second-stage table is no memory";
            case SS_FLAGS_NOT_SNOOPED -> "second-stage flags to be set while walks are not snooped";
            case NOT_CANONICAL -> "address not canonical";
            case FS_SUPERVISOR -> "user request to a supervisor page";
            case SM_NESTED_BEYOND -> "first stage's output beyond the width of the second stage";
            case FS_FLAGS_NOT_SNOOPED -> "first-stage flags to be set while walks are not snooped";
            case PROTECTED_MEMORY -> "protected memory region";
            default -> "reason 0x" + Integer.toHexString(reason);
        };
    }
}
