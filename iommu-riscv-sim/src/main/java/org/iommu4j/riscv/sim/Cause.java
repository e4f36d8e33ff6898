// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

/** The causes of faults, by the manual's numbers. Source: manual, "Fault/Event-Queue", encodings of CAUSE. */
final class Cause {
    /** No fault. */
    static final int NONE = 0;

    static final int INSTRUCTION_ACCESS_FAULT = 1;
    static final int READ_ACCESS_FAULT = 5;
    static final int WRITE_ACCESS_FAULT = 7;
    static final int INSTRUCTION_PAGE_FAULT = 12;
    static final int READ_PAGE_FAULT = 13;
    static final int WRITE_PAGE_FAULT = 15;

    /** What a guest-page fault's number is above that of the page fault. */
    static final int GUEST = 8;

    static final int ALL_DISALLOWED = 256;
    static final int DDT_LOAD = 257;
    static final int DDT_NOT_VALID = 258;
    static final int DDT_MISCONFIGURED = 259;
    static final int TYPE_DISALLOWED = 260;
    static final int MSI_LOAD = 261;
    static final int MSI_NOT_VALID = 262;
    static final int MSI_MISCONFIGURED = 263;
    static final int MRIF_ACCESS = 264;
    static final int PDT_LOAD = 265;
    static final int PDT_NOT_VALID = 266;
    static final int PDT_MISCONFIGURED = 267;
    static final int DDT_CORRUPT = 268;
    static final int PDT_CORRUPT = 269;
    static final int MSI_CORRUPT = 270;
    static final int MRIF_CORRUPT = 271;
    static final int MSI_WRITE = 273;
    static final int PT_CORRUPT = 274;

    private Cause() {}

    /** Returns a cause in the manual's words. */
    static String text(int cause) {
        return switch (cause) {
            case INSTRUCTION_ACCESS_FAULT -> "instruction access fault";
            case READ_ACCESS_FAULT -> "read access fault";
            case WRITE_ACCESS_FAULT -> "write/AMO access fault";
            case INSTRUCTION_PAGE_FAULT -> "instruction page fault";
            case READ_PAGE_FAULT -> "read page fault";
            case WRITE_PAGE_FAULT -> "write/AMO page fault";
            case INSTRUCTION_PAGE_FAULT + GUEST -> "instruction guest page fault";
            case READ_PAGE_FAULT + GUEST -> "read guest-page fault";
            case WRITE_PAGE_FAULT + GUEST -> "write/AMO guest-page fault";
            case ALL_DISALLOWED -> "all inbound transactions disallowed";
            case DDT_LOAD -> "DDT entry load access fault";
            case DDT_NOT_VALID -> "DDT entry not valid";
            case DDT_MISCONFIGURED -> "DDT entry misconfigured";
            case TYPE_DISALLOWED -> "transaction type disallowed";
            case MSI_LOAD -> "MSI PTE load access fault";
            case MSI_NOT_VALID -> "MSI PTE not valid";
            case MSI_MISCONFIGURED -> "MSI PTE misconfigured";
            case MRIF_ACCESS -> "MRIF access fault";
            case PDT_LOAD -> "PDT entry load access fault";
            case PDT_NOT_VALID -> "PDT entry not valid";
            case PDT_MISCONFIGURED -> "PDT entry misconfigured";
            case DDT_CORRUPT -> "DDT data corruption";
            case PDT_CORRUPT -> "PDT data corruption";
            case MSI_CORRUPT -> "MSI PT data corruption";
            case MRIF_CORRUPT -> "MSI MRIF data corruption";
            case MSI_WRITE -> "IOMMU MSI write access fault";
            case PT_CORRUPT -> "first/second-stage PT data corruption";
            default -> "cause " + cause;
        };
    }

    /** Returns whether a fault is reported although the device's context has DTF. */
    static boolean isReportedWithDtf(int cause) {
        return switch (cause) {
            case ALL_DISALLOWED, DDT_LOAD, DDT_NOT_VALID, DDT_MISCONFIGURED, DDT_CORRUPT, MSI_WRITE -> true;
            default -> false;
        };
    }

    /**
     * Returns whether an ATS translation request with this fault is answered with success and no rights, which is not
     * reported. Source: manual, "PCIe ATS translation request handling".
     */
    static boolean isAnswerWithoutRights(int cause) {
        return switch (cause) {
            case INSTRUCTION_PAGE_FAULT,
                    READ_PAGE_FAULT,
                    WRITE_PAGE_FAULT,
                    INSTRUCTION_PAGE_FAULT + GUEST,
                    READ_PAGE_FAULT + GUEST,
                    WRITE_PAGE_FAULT + GUEST,
                    PDT_NOT_VALID,
                    MSI_NOT_VALID -> true;
            default -> false;
        };
    }

    /** Returns whether an ATS translation request with this fault is an unsupported request, and not aborted. */
    static boolean isUnsupportedRequest(int cause) {
        return cause >= ALL_DISALLOWED && cause <= TYPE_DISALLOWED;
    }
}
