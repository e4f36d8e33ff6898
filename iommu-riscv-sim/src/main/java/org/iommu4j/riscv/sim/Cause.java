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
