// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.silicon;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.sim.spi.StateDigest;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.tck.SiliconBench;

/** Passes calls on to a unit, and records its accesses of memory by the calls that make them. */
final class WatchedUnit implements TranslationUnit {
    final TranslationUnit unit;
    final WatchedFabric fabric;

    /** The driver's register writes. */
    final List<RegisterWrite> writes = new ArrayList<>();

    /** Accesses of memory inside register writes. */
    final List<Access> insideWrites = new ArrayList<>();

    final List<Step> steps = new ArrayList<>();
    int translationRequests;
    int completions;
    private boolean watching;

    /** A register write of 4 or 8 bytes. */
    record RegisterWrite(int bytes, int offset, long value) {
        void repeat(TranslationUnit on) {
            if (bytes == 4) {
                on.writeRegister32(offset, (int) value);
            } else {
                on.writeRegister64(offset, value);
            }
        }
    }

    /** A step. */
    record Step(boolean worked, boolean changed, List<Access> accesses) {}

    WatchedUnit(TranslationUnit unit, WatchedFabric fabric) {
        this.unit = unit;
        this.fabric = fabric;
    }

    void watch() {
        watching = true;
        fabric.watch();
        fabric.take();
    }

    @Override
    public TranslationUnitSpec spec() {
        return unit.spec();
    }

    @Override
    public int readRegister8(int offset) {
        return unit.readRegister8(offset);
    }

    @Override
    public int readRegister16(int offset) {
        return unit.readRegister16(offset);
    }

    @Override
    public int readRegister32(int offset) {
        return unit.readRegister32(offset);
    }

    @Override
    public long readRegister64(int offset) {
        return unit.readRegister64(offset);
    }

    @Override
    public void writeRegister8(int offset, int value) {
        unit.writeRegister8(offset, value);
    }

    @Override
    public void writeRegister16(int offset, int value) {
        unit.writeRegister16(offset, value);
    }

    @Override
    public void writeRegister32(int offset, int value) {
        write(new RegisterWrite(4, offset, value));
    }

    @Override
    public void writeRegister64(int offset, long value) {
        write(new RegisterWrite(8, offset, value));
    }

    private void write(RegisterWrite write) {
        writes.add(write);
        if (!watching) {
            write.repeat(unit);
            return;
        }
        fabric.take();
        write.repeat(unit);
        insideWrites.addAll(fabric.take());
    }

    @Override
    public long translate(int sourceId, int pasid, long address, int flags) {
        return unit.translate(sourceId, pasid, address, flags);
    }

    @Override
    public long requestTranslation(int sourceId, int pasid, long address, int flags) {
        translationRequests++;
        return unit.requestTranslation(sourceId, pasid, address, flags);
    }

    @Override
    public long passTranslated(int sourceId, int pasid, long address, int flags) {
        return unit.passTranslated(sourceId, pasid, address, flags);
    }

    @Override
    public int consume(
            long translation, int sourceId, int pasid, long address, int flags, long data, int bytes) {
        return unit.consume(translation, sourceId, pasid, address, flags, data, bytes);
    }

    @Override
    public boolean completeInvalidation(int sourceId, int tags, int count) {
        completions++;
        return unit.completeInvalidation(sourceId, tags, count);
    }

    @Override
    public void timeOutInvalidations(int tags) {
        unit.timeOutInvalidations(tags);
    }

    @Override
    public void requestPage(int sourceId, int pasid, long address, int flags, int group) {
        unit.requestPage(sourceId, pasid, address, flags, group);
    }

    @Override
    public boolean step() {
        if (!watching) {
            return unit.step();
        }
        long before = SiliconBench.digest(unit);
        fabric.take();
        boolean worked = unit.step();
        steps.add(new Step(worked, SiliconBench.digest(unit) != before, fabric.take()));
        return worked;
    }

    @Override
    public void reset() {
        unit.reset();
    }

    @Override
    public void addTo(StateDigest digest) {
        unit.addTo(digest);
    }
}
