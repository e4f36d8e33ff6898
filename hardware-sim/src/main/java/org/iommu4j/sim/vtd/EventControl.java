// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import org.iommu4j.bits.Register;
import org.iommu4j.sim.spi.StateDigest;

/**
 * The mask and pending bits of an interrupt that the unit raises.
 *
 * <p>Source: VT-d 7.2 and 11.4.7.2. A message that is not masked is treated as sent at once: the machine delivers none.
 */
final class EventControl {
    private static final int MASKED = (int) VtdRegisters.IM.mask();
    private static final int PENDING = (int) VtdRegisters.IP.mask();

    private final Register register;
    private int value = MASKED;

    EventControl(Register register) {
        this.register = register;
    }

    int value() {
        return value;
    }

    void write(int written) {
        value = (int) register.afterWrite(value, written);
        if ((value & MASKED) == 0) {
            value &= ~PENDING;
        }
    }

    /** Records a new interrupt condition: held pending while the interrupt is masked. */
    void raise() {
        if ((value & MASKED) != 0) {
            value |= PENDING;
        }
    }

    /** Records that software has serviced all conditions. */
    void serviced() {
        value &= ~PENDING;
    }

    void reset() {
        value = MASKED;
    }

    void addTo(StateDigest digest) {
        digest.add(value);
    }
}
