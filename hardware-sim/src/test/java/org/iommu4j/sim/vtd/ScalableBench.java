// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;

/**
 * A unit in scalable mode on a bench: device 02:00.0, a PASID directory at 0x8000, the PASID table of the first 64
 * PASIDs at 0x9000; queue of 256-bit descriptors. Tables as on {@link Bench}, in whichever format the PASID's entry
 * says.
 */
final class ScalableBench {
    static final long CAP = Bench.CAP_ALL_LEVELS | 1L << 56 | 1L << 60; // 1G leaves and 5 levels of the first stage
    /** C QI DT IR PT SC NEST PRS SRS PSS PASID SMTS SLADS SLTS FLTS SMPWC RPS. */
    static final long ECAP = 0xf020dfL | 1L << 26 | 1L << 29 | 1L << 31 | 1L << 34 | 19L << 35 | 1L << 40 | 1L << 43
            | 1L << 45 | 1L << 46 | 1L << 47 | 1L << 48 | 1L << 49;

    static final long DIRECTORY = 0x8000;
    static final long PASIDS = 0x9000;
    static final int NO_PASID = TranslationUnit.NO_PASID;
    static final long DID = 5;

    /** PASID entry, first word: present, 4 levels of second stage. */
    static final long SECOND = Bench.L4 | 2 << 2 | 2 << 6 | 1;

    static final long FIRST = 1 << 6 | 1;
    static final long PASS = 4 << 6 | 3 << 2 | 1;
    static final long PWSNP = 1 << 23;
    static final long PGSNP = 1 << 24;

    final Bench bench;
    final TranslationUnit unit;
    private int tail;

    ScalableBench() {
        this(CAP, ECAP);
    }

    ScalableBench(long cap, long ecap) {
        bench = new Bench(cap, ecap);
        unit = bench.unit;
        put(Bench.ROOT + 0x20, Bench.CONTEXTS | 1);
        put(Bench.CONTEXT, DIRECTORY | 8 | 4 | 1);
        put(DIRECTORY, PASIDS | 1);
    }

    void put(long address, long value) {
        bench.put(address, value);
    }

    long get(long address) {
        return bench.fabric.memory.load(address);
    }

    /** Writes a PASID's entry. */
    ScalableBench pasid(int pasid, long word0, long word1, long word2) {
        long at = PASIDS + pasid * 64L;
        put(at, word0);
        put(at + 8, word1);
        put(at + 16, word2);
        return this;
    }

    /** PASID 0 by second stage: one page of 4K. */
    ScalableBench secondStage() {
        bench.tables();
        put(Bench.CONTEXT, DIRECTORY | 8 | 4 | 1);
        put(Bench.CONTEXT + 8, 0);
        return pasid(0, SECOND, DID | PWSNP, 0);
    }

    /** A PASID by first stage: one page of 4K, read and write, no flag set yet. */
    ScalableBench firstStage(int pasid) {
        put(Bench.L4 + 8, Bench.L3 | 7);
        put(Bench.L3 + 8, Bench.L2 | 7);
        put(Bench.L2 + 8, Bench.L1 | 7);
        put(Bench.L1 + 8, Bench.PAGE | 7);
        return pasid(pasid, FIRST, DID | PWSNP, Bench.L4);
    }

    ScalableBench on() {
        unit.writeRegister64(Bench.RTADDR, Bench.ROOT | 1 << 10);
        bench.command(Bench.SRTP);
        unit.writeRegister64(Bench.IQT, 0);
        unit.writeRegister64(Bench.IQA, Bench.QUEUE | 1 << 11);
        tail = 0;
        bench.command(Bench.TE | Bench.QIE);
        return this;
    }

    /** Queues a descriptor of 256 bits and lets the unit handle it. */
    void invalidate(long low, long high) {
        queue(low, high);
        bench.run();
    }

    void queue(long low, long high) {
        put(Bench.QUEUE + tail, low);
        put(Bench.QUEUE + tail + 8, high);
        put(Bench.QUEUE + tail + 16, 0);
        put(Bench.QUEUE + tail + 24, 0);
        tail = (tail + 32) % 4096;
        unit.writeRegister64(Bench.IQT, tail);
    }

    long translate(int pasid, long address, boolean write) {
        return unit.translate(Bench.DEVICE, pasid, address, RequestFlags.readOrWrite(write));
    }

    String read(int pasid, long address) {
        return Translation.toString(translate(pasid, address, false));
    }

    String write(int pasid, long address) {
        return Translation.toString(translate(pasid, address, true));
    }
}
