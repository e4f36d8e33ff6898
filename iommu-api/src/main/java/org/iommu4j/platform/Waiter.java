// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.platform;

import java.util.function.BooleanSupplier;

/**
 * The only way to wait.
 *
 * <p>Time is logical: a simulated machine runs its pending events between two looks at the condition, an emulator is
 * polled. A time-out is therefore deterministic. Interrupts are delivered in here or between driver calls.
 */
@FunctionalInterface
public interface Waiter {
    /**
     * Waits until the condition holds.
     *
     * @param condition looked at at least once; must not allocate on a hot path
     * @param ticks the deadline: after so many logical steps, or earlier when nothing is left that could happen, the
     *     wait ends
     * @return whether the condition held; false is a time-out
     */
    boolean await(BooleanSupplier condition, long ticks);
}
