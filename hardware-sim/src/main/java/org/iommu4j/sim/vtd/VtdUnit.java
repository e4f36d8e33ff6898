// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import java.util.Arrays;
import org.iommu4j.bits.Register;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.StateDigest;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.spi.TranslationUnitSpec;

/**
 * One VT-d translation unit.
 *
 * <p>Registers and {@link #step} lock the unit; {@link #translate} reads what they decided from one volatile word, and
 * the caches without a lock.
 */
final class VtdUnit implements TranslationUnit {
    /** Bits of {@link #root}: translation is on. */
    private static final long TRANSLATING = 1;

    private static final long TTM = VtdRegisters.TTM.mask();
    private static final long RTA = VtdRegisters.RTA.mask();

    /** TTM. */
    private static final long LEGACY_MODE = 0;

    private static final long SCALABLE_MODE = 1;

    /** Bits of GCMD that ask for something once, and of GSTS that say it is done. */
    private static final int COMMANDS = (int) (VtdRegisters.SRTP.mask() | VtdRegisters.SIRTP.mask());

    private final TranslationUnitSpec spec;
    private final VtdCapabilities capabilities;
    private final Epoch epoch = new Epoch();
    private final ContextCache contexts = new ContextCache(epoch);
    private final Iotlb iotlb = new Iotlb(epoch);
    private final PagingCache pagingCache = new PagingCache(epoch);
    private final ScalableCaches scalableCaches = new ScalableCaches(epoch);
    private final LegacyTranslation legacy;
    private final ScalableTranslation scalable;
    private final Invalidation invalidation;
    private final FaultLog faults;
    private final PageRequestQueue pageRequests;
    private final InvalidationQueue queue;

    /** Bits of GCMD that stay as written, and that GSTS mirrors. */
    private final int switches;

    /** What software wrote, or hardware shows, by offset / 8. */
    private final long[] fixed = new long[VtdRegisters.FIXED_END / 8];

    private long invalidateAddress;
    private long iotlbCommand;

    /** A write to GCMD that was not acted on yet. */
    private boolean globalCommandPending;

    /** RTADDR as SRTP found it, with {@link #TRANSLATING}. */
    private volatile long root;

    VtdUnit(TranslationUnitSpec spec, VtdCapabilities capabilities, int hostAddressWidth, Fabric fabric) {
        this.spec = spec;
        this.capabilities = capabilities;
        SecondStageWalker walker =
                new SecondStageWalker(new SecondStage(capabilities, hostAddressWidth), fabric, pagingCache);
        legacy = new LegacyTranslation(
                capabilities, epoch, contexts, iotlb, new LegacyTables(capabilities, hostAddressWidth, fabric), walker);
        scalable =
                new ScalableTranslation(capabilities, hostAddressWidth, fabric, epoch, scalableCaches, iotlb, walker);
        invalidation = new Invalidation(capabilities, contexts, iotlb, pagingCache, scalableCaches);
        faults = new FaultLog(capabilities.faultCount);
        pageRequests = new PageRequestQueue(capabilities, fabric, this::mayAskForPages);
        queue = new InvalidationQueue(capabilities, fabric, invalidation, faults, pageRequests);
        long remapping = VtdRegisters.IRE.mask() | VtdRegisters.CFI.mask();
        switches = (int) (VtdRegisters.TE.mask()
                | (capabilities.queuedInvalidation ? VtdRegisters.QIE.mask() : 0)
                | (capabilities.interruptRemapping ? remapping : 0));
        setReadOnly();
    }

    private void setReadOnly() {
        set(VtdRegisters.VER, spec.register("VER"));
        set(VtdRegisters.CAP, spec.register("CAP"));
        set(VtdRegisters.ECAP, spec.register("ECAP"));
    }

    @Override
    public TranslationUnitSpec spec() {
        return spec;
    }

    // Translation

    @Override
    public long translate(int requesterId, int pasid, long address, boolean write) {
        long root = this.root;
        long answer;
        if ((root & (TRANSLATING | TTM)) == TRANSLATING && pasid == NO_PASID && !Translations.isInterrupt(address)) {
            answer = legacy.translate(root & RTA, requesterId, address, write);
        } else {
            answer = translateSpecially(root, requesterId, pasid, address, write);
        }
        return answer >= 0
                ? answer
                : refuse(answer, requesterId, pasid, address, write, ScalableTranslation.UNTRANSLATED);
    }

    private long translateSpecially(long root, int requesterId, int pasid, long address, boolean write) {
        if ((root & TRANSLATING) == 0) {
            return Translations.unchanged(address);
        }
        // An interrupt is nobody's page, but a request with PASID makes none.
        if (pasid == NO_PASID && Translations.isInterrupt(address)) {
            return Translation.to(address, false);
        }
        int problem = problemOfMode(root, pasid);
        return problem != 0
                ? Translation.fault(problem)
                : scalable.translate(root & RTA, requesterId, pasid, address, write, ScalableTranslation.UNTRANSLATED);
    }

    /** Returns why no request of a kind is taken in the mode that RTADDR asks for, or 0. */
    private int problemOfMode(long root, int pasid) {
        long mode = VtdRegisters.TTM.get(root);
        if (mode == LEGACY_MODE) {
            return pasid == NO_PASID ? 0 : FaultReason.PASID_IN_LEGACY_MODE;
        }
        return mode == SCALABLE_MODE && capabilities.scalable ? 0 : FaultReason.ROOT_TABLE_MODE;
    }

    @Override
    public long requestTranslation(int requesterId, int pasid, long address, boolean write) {
        long answer = forDeviceTlb(requesterId, pasid, address, write, ScalableTranslation.TRANSLATION_REQUEST);
        if (answer >= 0) {
            return answer;
        }
        return FaultReason.isAnsweredWithoutRights(Translations.reason(answer))
                ? NOT_TRANSLATED
                : refuse(answer, requesterId, pasid, address, write, ScalableTranslation.TRANSLATION_REQUEST);
    }

    @Override
    public long passTranslated(int requesterId, int pasid, long address, boolean write) {
        long answer = forDeviceTlb(requesterId, pasid, address, write, ScalableTranslation.TRANSLATED);
        return answer >= 0
                ? answer
                : refuse(answer, requesterId, pasid, address, write, ScalableTranslation.TRANSLATED);
    }

    private long forDeviceTlb(int requesterId, int pasid, long address, boolean write, int addressType) {
        long root = this.root;
        if ((root & TRANSLATING) == 0) {
            // Without remapping nobody answers a translation request; a translated one is like any other.
            return addressType == ScalableTranslation.TRANSLATED
                    ? Translations.unchanged(address)
                    : Translations.fault(FaultReason.DEVICE_TLB_BLOCKED, true);
        }
        int problem = problemOfMode(root, pasid);
        if (problem != 0) {
            return Translation.fault(problem);
        }
        return (root & TTM) == 0
                ? legacy.forDeviceTlb(
                        root & RTA, requesterId, address, write, addressType == ScalableTranslation.TRANSLATED)
                : scalable.translate(root & RTA, requesterId, pasid, address, write, addressType);
    }

    private long refuse(long fault, int requesterId, int pasid, long address, boolean write, int addressType) {
        int reason = Translations.reason(fault);
        if (!Translations.isSilent(fault)) {
            faults.record(requesterId, pasid, address, write, addressType, reason);
        }
        return Translation.fault(reason);
    }

    @Override
    public synchronized void requestPage(
            int requesterId, int pasid, long address, boolean read, boolean write, boolean last, int group) {
        pageRequests.arrive(requesterId, pasid, address, read, write, last, group);
    }

    private boolean mayAskForPages(int requesterId, int pasid, long address, boolean write) {
        long root = this.root;
        if ((root & TRANSLATING) == 0 || (root & TTM) == 0) {
            return false; // and no fault: there are no page requests without translation, nor in legacy mode
        }
        int problem = problemOfMode(root, pasid);
        long fault =
                problem != 0 ? Translation.fault(problem) : scalable.pageRequestProblem(root & RTA, requesterId, pasid);
        if (fault < 0) {
            refuse(fault, requesterId, pasid, address, write, FaultLog.PAGE_REQUEST);
        }
        return fault >= 0;
    }

    // Events

    @Override
    public synchronized boolean step() {
        if (globalCommandPending) {
            doGlobalCommand();
            return true;
        }
        if (VtdRegisters.ICC.isSet(get(VtdRegisters.CCMD))) {
            doContextCommand();
            return true;
        }
        if (VtdRegisters.IVT.isSet(iotlbCommand)) {
            doIotlbCommand();
            return true;
        }
        // Page requests last: who does not drain them meets those that come late.
        return queue.step() || pageRequests.step();
    }

    private void doGlobalCommand() {
        globalCommandPending = false;
        int command = (int) get(VtdRegisters.GCMD);
        int status = (int) get(VtdRegisters.GSTS);
        status = (status & ~switches) | (command & switches);
        long newRoot = root;
        if (VtdRegisters.SRTP.isSet(command)) {
            newRoot = get(VtdRegisters.RTADDR);
            if (capabilities.rootPointerInvalidates) {
                invalidation.everything();
            }
        }
        status |= command & COMMANDS;
        // Write buffers are not modelled, so flushing them is done at once: WBFS never shows.
        queue.enable(VtdRegisters.QIES.isSet(status), get(VtdRegisters.IQA));
        set(VtdRegisters.GSTS, status);
        root = VtdRegisters.TE.isSet(command) ? newRoot | TRANSLATING : newRoot & ~TRANSLATING;
        queue.setScalableMode(VtdRegisters.TTM.get(newRoot) == SCALABLE_MODE);
    }

    private void doContextCommand() {
        long command = get(VtdRegisters.CCMD);
        int done = refusesRegisterInvalidation()
                ? Invalidation.REFUSED
                : invalidation.contexts(
                        (int) VtdRegisters.CIRG.get(command),
                        (int) VtdRegisters.CCMD_DID.get(command),
                        (int) VtdRegisters.CCMD_SID.get(command),
                        (int) VtdRegisters.CCMD_FM.get(command));
        set(VtdRegisters.CCMD, VtdRegisters.CAIG.set(VtdRegisters.ICC.set(command, 0), done));
    }

    /** The queue, or scalable mode, which has no other way. */
    private boolean refusesRegisterInvalidation() {
        return queue.isEnabled() || (root & TTM) != 0;
    }

    private void doIotlbCommand() {
        int done = refusesRegisterInvalidation()
                ? Invalidation.REFUSED
                : invalidation.translations(
                        (int) VtdRegisters.IIRG.get(iotlbCommand),
                        (int) VtdRegisters.IOTLB_DID.get(iotlbCommand),
                        VtdRegisters.IVA_ADDR.getInPlace(invalidateAddress),
                        (int) VtdRegisters.IVA_AM.get(invalidateAddress),
                        VtdRegisters.IVA_IH.isSet(invalidateAddress));
        iotlbCommand = VtdRegisters.IAIG.set(VtdRegisters.IVT.set(iotlbCommand, 0), done);
    }

    // Registers

    @Override
    public synchronized int readRegister32(int offset) {
        checkOffset(offset, 4);
        long word = read(offset & ~7);
        return (int) ((offset & 4) == 0 ? word : word >>> 32);
    }

    @Override
    public synchronized long readRegister64(int offset) {
        checkOffset(offset, 8);
        return read(offset);
    }

    @Override
    public synchronized void writeRegister32(int offset, int value) {
        checkOffset(offset, 4);
        write(offset & ~7, (value & 0xffffffffL) << ((offset & 4) * 8), (offset & 4) == 0, (offset & 4) != 0);
    }

    @Override
    public synchronized void writeRegister64(int offset, long value) {
        checkOffset(offset, 8);
        write(offset, value, true, true);
    }

    private void checkOffset(int offset, int size) {
        if (offset < 0 || offset > spec.registerSize() - size || offset % size != 0) {
            throw new IllegalStateException("unit " + spec.name() + " has no " + size * 8 + "-bit register at 0x"
                    + Integer.toHexString(offset) + " of its 0x" + Integer.toHexString(spec.registerSize())
                    + " bytes");
        }
    }

    /** Reads the 64 bits at an offset; what is not a register reads as 0. */
    private long read(int offset) {
        int record = offset - capabilities.faultOffset;
        if (record >= 0 && record < capabilities.faultCount * VtdRegisters.FRCD_SIZE) {
            return faults.readRecord(record >>> 3);
        }
        if (offset == capabilities.iotlbOffset) {
            return VtdRegisters.readable(VtdRegisters.IVA, invalidateAddress);
        }
        if (PageRequestQueue.isRegister(offset)) {
            return pageRequests.read(offset);
        }
        if (offset == capabilities.iotlbOffset + 8) {
            return VtdRegisters.readable(VtdRegisters.IOTLB, iotlbCommand);
        }
        if (offset >= VtdRegisters.FIXED_END) {
            return 0;
        }
        long kept = fixed[offset >>> 3];
        return switch (offset) {
            case 0x18 -> withLower(kept, VtdRegisters.readable(VtdRegisters.GCMD, kept)); // and GSTS
            case 0x28 -> VtdRegisters.readable(VtdRegisters.CCMD, kept);
            case 0x30 -> (long) faults.readStatus() << 32; // FSTS in the upper half
            case 0x38 -> withLower(kept, faults.readControl()); // FECTL, and FEDATA
            case 0x80 -> queue.readHead();
            case 0x88 -> queue.readTail();
            case 0x98 -> (long) queue.readCompletion() << 32; // ICS in the upper half
            case 0xa0 -> withLower(kept, queue.readControl()); // IECTL, and IEDATA
            case 0xb0 -> queue.readError();
            default -> kept;
        };
    }

    private static long withLower(long word, long lower) {
        return (word & 0xffffffff00000000L) | (lower & 0xffffffffL);
    }

    /** Writes one or both halves of the 64 bits at an offset. */
    private void write(int offset, long value, boolean low, boolean high) {
        int record = offset - capabilities.faultOffset;
        if (record >= 0 && record < capabilities.faultCount * VtdRegisters.FRCD_SIZE) {
            faults.writeRecord(record >>> 3, value);
        } else if (offset == capabilities.iotlbOffset) {
            invalidateAddress = VtdRegisters.stored(
                    VtdRegisters.IVA, invalidateAddress, merge(invalidateAddress, value, low, high));
        } else if (offset == capabilities.iotlbOffset + 8) {
            iotlbCommand = VtdRegisters.stored(VtdRegisters.IOTLB, iotlbCommand, merge(iotlbCommand, value, low, high));
        } else if (PageRequestQueue.isRegister(offset)) {
            pageRequests.write(offset, merge(pageRequests.read(offset), value, low, high), low, high);
        } else if (offset < VtdRegisters.FIXED_END) {
            Register lower = VtdRegisters.fixedAt(offset);
            if (lower != null && (low || lower.width() == 64)) {
                writeFixed(lower, value, low, high);
            }
            Register upper = VtdRegisters.fixedAt(offset + 4);
            if (upper != null && high) {
                writeFixed(upper, value, low, high);
            }
        }
    }

    private static long merge(long current, long value, boolean low, boolean high) {
        long written = (low ? 0xffffffffL : 0) | (high ? 0xffffffff00000000L : 0);
        return (current & ~written) | (value & written);
    }

    private void writeFixed(Register register, long value, boolean low, boolean high) {
        long current = get(register);
        long written = register.width() == 64
                ? merge(current, value, low, high)
                : (register.offset() & 4) == 0 ? value & 0xffffffffL : value >>> 32;
        if (register == VtdRegisters.FSTS) {
            faults.writeStatus((int) written);
        } else if (register == VtdRegisters.FECTL) {
            faults.writeControl((int) written);
        } else if (register == VtdRegisters.IQT) {
            queue.writeTail(merge(queue.readTail(), value, low, high));
        } else if (register == VtdRegisters.ICS) {
            queue.writeCompletion((int) written);
        } else if (register == VtdRegisters.IECTL) {
            queue.writeControl((int) written);
        } else if (register == VtdRegisters.GCMD) {
            if (globalCommandPending) {
                // Software should have waited for GSTS; commands take effect in the order written.
                doGlobalCommand();
            }
            globalCommandPending = true;
            set(register, VtdRegisters.stored(register, 0, written));
            // A pointer is reported set again when the unit has taken the new one.
            set(VtdRegisters.GSTS, get(VtdRegisters.GSTS) & ~(written & COMMANDS));
        } else if (register == VtdRegisters.PMEN) {
            long enabled = register.afterWrite(current, written);
            set(register, VtdRegisters.PRS.set(enabled, VtdRegisters.EPM.get(enabled)));
        } else {
            set(register, VtdRegisters.stored(register, current, written));
        }
    }

    private long get(Register register) {
        long word = fixed[register.offset() >>> 3];
        if (register.width() == 64) {
            return word;
        }
        return (register.offset() & 4) == 0 ? word & 0xffffffffL : word >>> 32;
    }

    private void set(Register register, long value) {
        boolean wide = register.width() == 64;
        boolean upper = (register.offset() & 4) != 0;
        long shifted = upper ? value << 32 : value;
        fixed[register.offset() >>> 3] = merge(fixed[register.offset() >>> 3], shifted, wide || !upper, wide || upper);
    }

    @Override
    public synchronized void reset() {
        Arrays.fill(fixed, 0);
        setReadOnly();
        invalidateAddress = 0;
        iotlbCommand = 0;
        globalCommandPending = false;
        root = 0;
        contexts.reset();
        iotlb.reset();
        pagingCache.reset();
        scalableCaches.reset();
        faults.reset();
        queue.reset();
        pageRequests.reset();
    }

    @Override
    public synchronized void addTo(StateDigest digest) {
        for (long word : fixed) {
            digest.add(word);
        }
        digest.add(invalidateAddress);
        digest.add(iotlbCommand);
        digest.add(globalCommandPending);
        digest.add(root);
        contexts.addTo(digest);
        iotlb.addTo(digest);
        pagingCache.addTo(digest);
        scalableCaches.addTo(digest);
        faults.addTo(digest);
        queue.addTo(digest);
        pageRequests.addTo(digest);
    }
}
