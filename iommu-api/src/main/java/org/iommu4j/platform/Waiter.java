// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.platform;

import java.util.function.BooleanSupplier;

/**
 * The only way to wait.
 *
 * <p>Time is logical: a simulated machine runs its pending events between two looks at the condition, an emulator is
 * polled. A time-out is therefore deterministic [waiter-1]. Interrupts are delivered in here or between driver calls
 * [waiter-2].
 *
 * <p>No port tells a driver of an interrupt. It leaves interrupts off, and reads logs when it is asked or waits.
 */
@FunctionalInterface
public interface Waiter {
    /**
     * Waits until the condition holds [await-1].
     *
     * @param condition looked at at least once [await-2]; must not allocate on a hot path
     * @param ticks the deadline: after so many logical steps, or earlier when nothing is left that could happen, the
     *     wait ends
     * @return whether the condition held; false is a time-out [await-3]
     */
    boolean await(BooleanSupplier condition, long ticks);
}
