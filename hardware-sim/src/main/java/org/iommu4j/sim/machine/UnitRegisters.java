// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.machine;

import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.sim.trace.Trace;
import org.iommu4j.sim.trace.TraceKind;
import org.jspecify.annotations.Nullable;

/**
 * A driver's mapping of a unit's registers. Beyond their end reads return all ones and writes are lost.
 *
 * @param start offset of the mapping's first byte in the unit's registers
 * @param size bytes that the driver mapped
 * @param claim the driver's claim on them, null for observers
 */
record UnitRegisters(TranslationUnit unit, int start, int size, Trace trace, RegisterClaims.@Nullable Claim claim)
        implements RegisterWindow {
    @Override
    public int read8(int offset) {
        int value = inside(offset, 1) ? unit.readRegister8(start + offset) : 0xff;
        if (trace.isOn()) {
            record(TraceKind.REGISTER_READ, offset, value, Trace.BYTE);
        }
        return value;
    }

    @Override
    public int read16(int offset) {
        int value = inside(offset, 2) ? unit.readRegister16(start + offset) : 0xffff;
        if (trace.isOn()) {
            record(TraceKind.REGISTER_READ, offset, value, Trace.QUARTER);
        }
        return value;
    }

    @Override
    public int read32(int offset) {
        int value = inside(offset, 4) ? unit.readRegister32(start + offset) : -1;
        if (trace.isOn()) {
            record(TraceKind.REGISTER_READ, offset, value & 0xffffffffL, Trace.HALF);
        }
        return value;
    }

    @Override
    public long read64(int offset) {
        long value = inside(offset, 8) ? unit.readRegister64(start + offset) : -1L;
        if (trace.isOn()) {
            record(TraceKind.REGISTER_READ, offset, value, 0);
        }
        return value;
    }

    @Override
    public void write8(int offset, int value) {
        if (trace.isOn()) {
            record(TraceKind.REGISTER_WRITE, offset, value & 0xff, Trace.BYTE);
        }
        if (inside(offset, 1)) {
            unit.writeRegister8(start + offset, value & 0xff);
        }
    }

    @Override
    public void write16(int offset, int value) {
        if (trace.isOn()) {
            record(TraceKind.REGISTER_WRITE, offset, value & 0xffff, Trace.QUARTER);
        }
        if (inside(offset, 2)) {
            unit.writeRegister16(start + offset, value & 0xffff);
        }
    }

    @Override
    public void write32(int offset, int value) {
        if (trace.isOn()) {
            record(TraceKind.REGISTER_WRITE, offset, value & 0xffffffffL, Trace.HALF);
        }
        if (inside(offset, 4)) {
            unit.writeRegister32(start + offset, value);
        }
    }

    @Override
    public void write64(int offset, long value) {
        if (trace.isOn()) {
            record(TraceKind.REGISTER_WRITE, offset, value, 0);
        }
        if (inside(offset, 8)) {
            unit.writeRegister64(start + offset, value);
        }
    }

    @Override
    public void release() {
        if (claim != null) {
            claim.release();
        }
    }

    private boolean inside(int offset, int bytes) {
        if (offset < 0 || offset % bytes != 0 || offset > size - bytes) {
            throw new IllegalStateException("access of " + bytes + " bytes at 0x" + Integer.toHexString(offset)
                    + " of unit " + unit.spec().name() + " is misaligned or outside its mapping of 0x"
                    + Integer.toHexString(size) + " bytes");
        }
        return start + offset + bytes <= unit.spec().registerSize();
    }

    private void record(TraceKind kind, int offset, long value, int flags) {
        TranslationUnitSpec spec = unit.spec();
        trace.unit(kind, spec.name(), spec.registerBase() + start + offset, value, flags);
    }
}
