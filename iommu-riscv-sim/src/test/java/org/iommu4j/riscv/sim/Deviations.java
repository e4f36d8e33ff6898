// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import java.util.Map;
import java.util.TreeMap;

/** Where the reference model is known to differ from the manual, beyond the vectors' own remarks: docs/riscv.md. */
final class Deviations {
    /** Reserved bits of MSI address mask or pattern, which the manual refuses and the model ignores. */
    private static final String RESERVED_MSI_BITS = "reserved-msi-bits";

    /**
     * A clean second-stage page of first-stage tables while SADE is 1 and GADE is 0. The model refuses to read the
     * tables there; the manual needs the page to be dirty only where a first-stage entry is written.
     */
    private static final String CLEAN_TABLE_PAGE = "clean-table-page";

    private final Map<String, Integer> seen = new TreeMap<>();

    Map<String, Integer> seen() {
        return seen;
    }

    /** Returns whether a request is answered differently for a known reason. */
    boolean explain(Json expected, Request request, Features features, TestMemory memory, boolean bigEndian) {
        String reason = null;
        if (request.cause == Cause.DDT_MISCONFIGURED && expected.number("cause") != Cause.DDT_MISCONFIGURED) {
            long pages = request.words[DeviceContext.MSI_MASK] | request.words[DeviceContext.MSI_PATTERN];
            reason = features.msiFlat && (pages & features.reservedMsiPageBits) != 0 ? RESERVED_MSI_BITS : null;
        }
        DeviceContext context = request.context;
        boolean impliesWrite = context != null
                && context.is(DeviceContext.SADE)
                && !context.is(DeviceContext.GADE)
                && expected.number("cause") >= Cause.INSTRUCTION_PAGE_FAULT + Cause.GUEST
                && expected.number("cause") <= Cause.WRITE_PAGE_FAULT + Cause.GUEST
                && (expected.number("iotval2") & 3) == 1;
        if (impliesWrite && context != null) {
            long pte = leaf(context, expected.number("iotval2") & -4L, memory, bigEndian);
            long readable = Pte.V | Pte.R | Pte.U | Pte.A;
            reason = (pte & readable) == readable && (pte & Pte.D) == 0 ? CLEAN_TABLE_PAGE : null;
        }
        if (reason != null) {
            seen.merge(reason, 1, Integer::sum);
        }
        return reason != null;
    }

    /** Walks second-stage tables down to a leaf, however it is. */
    private static long leaf(DeviceContext context, long address, TestMemory memory, boolean bigEndian) {
        int levels = context.secondMode - 5;
        long table = context.secondRoot;
        for (int level = levels - 1; level >= 0; level--) {
            long index = (address >>> (12 + 9 * level)) & (level == levels - 1 ? 2047 : 511);
            long pte = memory.peek(table + index * Long.BYTES);
            pte = bigEndian ? Long.reverseBytes(pte) : pte;
            if ((pte & Pte.V) == 0 || (pte & Pte.RIGHTS) != 0) {
                return pte;
            }
            table = (pte >>> 10 & (1L << 44) - 1) << 12;
        }
        return 0;
    }
}
