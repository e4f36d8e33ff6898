// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import java.util.List;
import java.util.stream.Collectors;
import org.iommu4j.it.kernel.VfioCall.Kind;

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

    /**
     * A function reads in one container, and then in another, while a second function keeps the first container alive.
     * Behind a bridge its second DMA shows whether the unit still has the bridge's context entry of the first.
     *
     * @param function the one that moves
     * @param other the one that stays
     */
    static VfioSequence ofMovedFunction(int function, int other) {
        long second = 0x100000;
        return new VfioSequence(
                0,
                true,
                List.of(
                        VfioCall.of(Kind.OPEN_CONTAINER, 0),
                        VfioCall.of(Kind.OPEN_GROUP, function),
                        VfioCall.of(Kind.OPEN_GROUP, other),
                        VfioCall.of(Kind.SET_CONTAINER, function, 0),
                        VfioCall.of(Kind.SET_IOMMU, 0, 3),
                        VfioCall.of(Kind.SET_CONTAINER, other, 0),
                        VfioCall.of(Kind.MAP_DMA, 0, 0, 0, second, 0x2000, 3, 32),
                        VfioCall.of(Kind.OPEN_DEVICE, function, function),
                        VfioCall.of(Kind.DMA, function, second, second + 0x1000),
                        VfioCall.of(Kind.CLOSE_DEVICE, function),
                        VfioCall.of(Kind.UNSET_CONTAINER, function),
                        VfioCall.of(Kind.OPEN_CONTAINER, 1),
                        VfioCall.of(Kind.SET_CONTAINER, function, 1),
                        VfioCall.of(Kind.SET_IOMMU, 1, 3),
                        VfioCall.of(Kind.MAP_DMA, 1, 0, 0x8000, second, 0x2000, 3, 32),
                        VfioCall.of(Kind.OPEN_DEVICE, function, function),
                        VfioCall.of(Kind.DMA, function, second + 0x10, second + 0x1010)));
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
