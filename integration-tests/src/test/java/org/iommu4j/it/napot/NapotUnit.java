// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.napot;

import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.StateDigest;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.spi.TranslationUnitSpec;

/** The silicon: one register, the address of the directory; it walks with every request. */
final class NapotUnit implements TranslationUnit {
    static final int NO_DEVICE = 258;
    static final int READ_FAULT = 13;
    static final int WRITE_FAULT = 15;

    private final TranslationUnitSpec spec;
    private final Fabric fabric;
    private long directory;

    NapotUnit(TranslationUnitSpec spec, Fabric fabric) {
        this.spec = spec;
        this.fabric = fabric;
    }

    @Override
    public long translate(int sourceId, int pasid, long address, int flags) {
        for (long pair = directory; directory != 0 && pair < directory + 4096; pair += 16) {
            if (fabric.read(pair, true) == (1L << 63 | sourceId)) {
                return walk(fabric.read(pair + 8, true), address, flags);
            }
        }
        return Translation.fault(NO_DEVICE);
    }

    private long walk(long table, long address, int flags) {
        boolean write = RequestFlags.writes(flags);
        long page = address >>> 12;
        long entry = page < 512 ? fabric.read(table + page * 8, true) : 0;
        if ((entry & 1) == 0 || (entry & (write ? 4 : 2)) == 0) {
            return Translation.fault(write ? WRITE_FAULT : READ_FAULT);
        }
        long frame = (entry << 10) >>> 20;
        if (entry < 0) {
            frame = (frame & ~15) | (page & 15);
        }
        return Translation.to((frame << 12) | (address & 0xfff), false);
    }

    @Override
    public void writeRegister64(int offset, long value) {
        directory = value;
    }

    @Override
    public long readRegister64(int offset) {
        return directory;
    }

    @Override
    public TranslationUnitSpec spec() {
        return spec;
    }

    @Override
    public boolean step() {
        return false;
    }

    @Override
    public void reset() {
        directory = 0;
    }

    @Override
    public void addTo(StateDigest digest) {
        digest.add(directory);
    }
}
