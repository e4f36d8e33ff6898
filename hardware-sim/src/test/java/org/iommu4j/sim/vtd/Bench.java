// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;

/**
 * A unit on a bench: what a driver would write, as hex words from the manual.
 *
 * <p>Memory: root table at 0x1000, context table of bus 2 at 0x2000, second-stage tables from 0x3000 on, queue at
 * 0x20000, status word at 0x30000, pages from 0x100000 on.
 */
final class Bench {
    static final int DEVICE = 0x0200; // 02:00.0
    static final long ROOT = 0x1000;
    static final long CONTEXTS = 0x2000;
    static final long CONTEXT = CONTEXTS; // of 02:00.0
    static final long L5 = 0x7000;
    static final long L4 = 0x3000;
    static final long L3 = 0x4000;
    static final long L2 = 0x5000;
    static final long L1 = 0x6000;
    static final long PAGE = 0x100000;
    static final long QUEUE = 0x20000;
    static final long STATUS = 0x30000;

    /** A long way up: index 1 in every table of four levels. */
    static final long IOVA = 1L << 39 | 1L << 30 | 1L << 21 | 1L << 12;

    static final long CAP = 0xd2078c106f0466L; // SAGAW: 4 levels
    static final long CAP_ALL_LEVELS = (CAP & ~0x3f1f00L) | 0x38_0e00L; // SAGAW: 3, 4, 5 levels, MGAW 57
    static final long ECAP_SC = 0xf020dfL;
    static final long ECAP_NOSC = 0xf0205bL;

    static final int GCMD = 0x18;
    static final int GSTS = 0x1c;
    static final int RTADDR = 0x20;
    static final int CCMD = 0x28;
    static final int FSTS = 0x34;
    static final int FECTL = 0x38;
    static final int AFLOG = 0x58;
    static final int PMEN = 0x64;
    static final int PLMBASE = 0x68;
    static final int PLMLIMIT = 0x6c;
    static final int PHMBASE = 0x70;
    static final int PHMLIMIT = 0x78;
    static final int IQH = 0x80;
    static final int IQT = 0x88;
    static final int IQA = 0x90;
    static final int ICS = 0x9c;
    static final int IECTL = 0xa0;
    static final int IQERCD = 0xb0;
    static final int FRCD = 0x100;
    static final int IVA = 0x200;
    static final int IOTLB = 0x208;

    static final int TE = 1 << 31;
    static final int SRTP = 1 << 30;
    static final int SFL = 1 << 29;
    static final int EAFL = 1 << 28;
    static final int QIE = 1 << 26;

    final RecordingFabric fabric = new RecordingFabric(1 << 24);
    final TranslationUnit unit;
    private int tail;
    private long queueBytes;

    Bench(long cap, long ecap) {
        unit = new VtdUnitProvider().create(VtdUnitProvider.unit("dmar0", 0xfed90000L, cap, ecap), fabric);
    }

    static Bench withSnoopControl() {
        return new Bench(CAP, ECAP_SC).tables().on();
    }

    static Bench withoutSnoopControl() {
        return new Bench(CAP, ECAP_NOSC).tables().on();
    }

    void put(long address, long value) {
        fabric.memory.store(address, value);
    }

    /** Four levels down to one page of 4K, read and write, domain 5. */
    Bench tables() {
        put(ROOT + 0x20, CONTEXTS | 1);
        put(CONTEXT, L4 | 1);
        put(CONTEXT + 8, 0x0502);
        put(L4 + 8, L3 | 3);
        put(L3 + 8, L2 | 3);
        put(L2 + 8, L1 | 3);
        put(L1 + 8, PAGE | 3);
        return this;
    }

    /** Sets the root table pointer, enables a queue of 256 and then translation. */
    Bench on() {
        unit.writeRegister64(RTADDR, ROOT);
        command(SRTP);
        enableQueue(0);
        command(TE | QIE);
        return this;
    }

    void enableQueue(int queueSize) {
        unit.writeRegister64(IQT, 0);
        unit.writeRegister64(IQA, QUEUE | queueSize);
        queueBytes = 4096L << queueSize;
        tail = 0;
        command(QIE);
    }

    void command(int gcmd) {
        unit.writeRegister32(GCMD, gcmd);
        run();
    }

    void run() {
        while (unit.step()) {
            // one event at a time
        }
    }

    /** Queues a descriptor, without letting the unit look at it. */
    Bench queue(long low, long high) {
        put(QUEUE + tail, low);
        put(QUEUE + tail + 8, high);
        tail = (int) ((tail + 16) % queueBytes);
        unit.writeRegister64(IQT, tail);
        return this;
    }

    void invalidate(long low, long high) {
        queue(low, high);
        run();
    }

    long read(long iova) {
        return unit.translate(DEVICE, TranslationUnit.NO_PASID, iova, RequestFlags.READ);
    }

    long write(long iova) {
        return unit.translate(DEVICE, TranslationUnit.NO_PASID, iova, RequestFlags.WRITE);
    }

    String readText(long iova) {
        return Translation.toString(read(iova));
    }

    String writeText(long iova) {
        return Translation.toString(write(iova));
    }

    int fsts() {
        return unit.readRegister32(FSTS);
    }

    /** The reasons in the records that have F, from the first on. */
    List<Integer> recordedReasons() {
        List<Integer> reasons = new ArrayList<>();
        for (int i = 0; i < 8; i++) {
            long high = unit.readRegister64(FRCD + 16 * i + 8);
            if (high < 0) {
                reasons.add((int) (high >>> 32) & 0xff);
            }
        }
        return reasons;
    }
}
