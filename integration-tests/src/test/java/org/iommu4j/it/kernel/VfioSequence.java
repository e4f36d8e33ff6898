// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import java.util.List;
import java.util.stream.Collectors;

/**
 * Calls of one process, in order.
 *
 * @param limit the process's limit of locked memory, in bytes
 * @param capIpcLock whether it has CAP_IPC_LOCK, with which nothing limits it
 * @param calls the calls
 */
record VfioSequence(long limit, boolean capIpcLock, List<VfioCall> calls) {
    VfioSequence {
        calls = List.copyOf(calls);
    }

    /** Returns this process with other calls. */
    VfioSequence with(List<VfioCall> others) {
        return new VfioSequence(limit, capIpcLock, others);
    }

    /** Returns the lines that the agent reads. */
    String text(int number) {
        return "sequence number=" + number + " limit=" + limit + " lock=" + (capIpcLock ? 1 : 0) + "\n"
                + calls.stream().map(call -> call + "\n").collect(Collectors.joining());
    }
}
