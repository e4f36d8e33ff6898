// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.machine;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.platform.RegisterWindow;

/** Which registers drivers have, so that no two drive one unit. Thread-safe. */
final class RegisterClaims {
    private final List<UnitRegisters> held = new ArrayList<>();

    /**
     * Notes that a driver has registers, until it gives them back.
     *
     * @throws IommuException EBUSY when another mapping shares a byte with them
     */
    synchronized RegisterWindow claim(UnitRegisters registers) {
        for (UnitRegisters other : held) {
            if (other.overlaps(registers)) {
                throw new IommuException(
                        Errno.EBUSY,
                        "registers of unit " + registers.unit().spec().name() + " are in use by a driver");
            }
        }
        held.add(registers);
        return registers;
    }

    /** Takes them back, if the driver still has them. */
    @SuppressWarnings("ReferenceEquality") // an equal mapping may be another driver's
    synchronized void release(UnitRegisters registers) {
        held.removeIf(each -> each == registers);
    }

    /** Takes all back, as at power-on. */
    synchronized void clear() {
        held.clear();
    }
}
