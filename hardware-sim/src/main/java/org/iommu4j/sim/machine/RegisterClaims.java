// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.machine;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.sim.spi.TranslationUnit;

/** Records the registers that drivers have, so that no two drivers use one unit. Thread-safe. */
final class RegisterClaims {
    private final List<Claim> held = new ArrayList<>();

    /** A driver's claim on some of a unit's registers. */
    final class Claim {
        private final TranslationUnit unit;
        private final long first;
        private final long end;

        private Claim(TranslationUnit unit, long first, long end) {
            this.unit = unit;
            this.first = first;
            this.end = end;
        }

        /** Returns the registers, once. */
        void release() {
            synchronized (RegisterClaims.this) {
                held.remove(this);
            }
        }

        @SuppressWarnings("ReferenceEquality") // units are compared by identity
        private boolean overlaps(Claim other) {
            return unit == other.unit && end > other.first && other.end > first;
        }
    }

    /**
     * Records that a driver has registers, until it returns them.
     *
     * @param start offset of the first byte in the unit's registers
     * @param size number of bytes
     * @throws IommuException EBUSY when another driver has one of the bytes
     */
    synchronized Claim claim(TranslationUnit unit, int start, int size) {
        Claim claim = new Claim(unit, start, (long) start + size);
        for (Claim other : held) {
            if (other.overlaps(claim)) {
                throw new IommuException(
                        Errno.EBUSY, "registers of unit " + unit.spec().name() + " are in use by a driver");
            }
        }
        held.add(claim);
        return claim;
    }

    /** Drops all claims, as at power-on. */
    synchronized void clear() {
        held.clear();
    }
}
