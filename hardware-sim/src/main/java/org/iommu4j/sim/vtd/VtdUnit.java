// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import org.iommu4j.bits.Register;
import org.iommu4j.sim.spi.Epoch;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.StateDigest;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.spi.TranslationUnitSpec;

/**
 * One VT-d translation unit.
 *
 * <p>Registers and {@link #step} lock the unit; {@link #translate} reads their result from a volatile word of the
 * {@link Remapper}, and the caches without a lock.
 */
final class VtdUnit implements TranslationUnit {
    private final TranslationUnitSpec spec;
    private final VtdCapabilities capabilities;
    private final Epoch epoch = new Epoch();
    private final ContextCache contexts = new ContextCache(epoch);
    private final Iotlb iotlb = new Iotlb(epoch);
    private final PagingCache pagingCache = new PagingCache(epoch);
    private final ScalableCaches scalableCaches = new ScalableCaches(epoch);
    private final Invalidation invalidation;
    private final VtdFaultLog faults;
    private final Remapper remapper;
    private final VtdPageRequestQueue pageRequests;
    private final VtdInvalidationQueue queue;

    /** Bits of GCMD that stay as written; GSTS mirrors them. */
    private final int switches;

    /** One-time commands of GCMD, and the bits of GSTS that confirm them. */
    private final int commands;

    private final RegisterFile fixed = new RegisterFile();

    private long invalidateAddress;
    private long iotlbCommand;

    /** A write to GCMD that has not taken effect yet. */
    private boolean globalCommandPending;

    VtdUnit(TranslationUnitSpec spec, VtdCapabilities capabilities, int hostAddressWidth, Fabric fabric) {
        this.spec = spec;
        this.capabilities = capabilities;
        SecondStageWalker walker = new SecondStageWalker(capabilities, hostAddressWidth, fabric, pagingCache);
        invalidation = new Invalidation(capabilities, contexts, iotlb, pagingCache, scalableCaches);
        faults = new VtdFaultLog(capabilities.faultCount, fabric);
        remapper = new Remapper(
                capabilities,
                new LegacyTranslation(
                        capabilities,
                        epoch,
                        contexts,
                        iotlb,
                        new VtdLegacyTables(capabilities, hostAddressWidth, fabric),
                        walker),
                new ScalableTranslation(capabilities, hostAddressWidth, fabric, epoch, scalableCaches, iotlb, walker),
                faults);
        pageRequests = new VtdPageRequestQueue(capabilities, fabric, remapper::allowsPageRequest);
        queue = new VtdInvalidationQueue(capabilities, fabric, invalidation, faults, pageRequests);
        long remapping = VtdRegisters.IRE.mask() | VtdRegisters.CFI.mask();
        switches = (int) (VtdRegisters.TE.mask()
                | (capabilities.queuedInvalidation ? VtdRegisters.QIE.mask() : 0)
                | (capabilities.advancedFaultLog ? VtdRegisters.EAFL.mask() : 0)
                | (capabilities.interruptRemapping ? remapping : 0));
        commands = (int) (VtdRegisters.SRTP.mask()
                | (capabilities.interruptRemapping ? VtdRegisters.SIRTP.mask() : 0)
                | (capabilities.advancedFaultLog ? VtdRegisters.SFL.mask() : 0));
        setReadOnly();
    }

    private void setReadOnly() {
        fixed.set(VtdRegisters.VER, spec.register("VER"));
        fixed.set(VtdRegisters.CAP, spec.register("CAP"));
        fixed.set(VtdRegisters.ECAP, spec.register("ECAP"));
    }

    @Override
    public TranslationUnitSpec spec() {
        return spec;
    }

    // Translation

    @Override
    public long translate(int requesterId, int pasid, long address, int flags) {
        return remapper.translate(requesterId, pasid, address, RequestFlags.writes(flags));
    }

    @Override
    public long requestTranslation(int requesterId, int pasid, long address, int flags) {
        return remapper.requestTranslation(requesterId, pasid, address, RequestFlags.writes(flags));
    }

    @Override
    public long passTranslated(int requesterId, int pasid, long address, int flags) {
        return remapper.passTranslated(requesterId, pasid, address, RequestFlags.writes(flags));
    }

    @Override
    public synchronized void requestPage(int requesterId, int pasid, long address, int flags, int group) {
        pageRequests.arrive(requesterId, pasid, address, flags, group);
    }

    @Override
    public synchronized boolean completeInvalidation(int requesterId, int tags, int count) {
        return queue.complete(requesterId, tags, count);
    }

    @Override
    public synchronized void timeOutInvalidations(int tags) {
        queue.timeOut(tags);
    }

    // Events

    @Override
    public synchronized boolean step() {
        if (globalCommandPending) {
            doGlobalCommand();
            return true;
        }
        long protection = fixed.get(VtdRegisters.PMEN);
        if (VtdRegisters.EPM.get(protection) != VtdRegisters.PRS.get(protection)) {
            doProtection(protection);
            return true;
        }
        if (VtdRegisters.ICC.isSet(fixed.get(VtdRegisters.CCMD))) {
            doContextCommand();
            return true;
        }
        if (VtdRegisters.IVT.isSet(iotlbCommand)) {
            doIotlbCommand();
            return true;
        }
        // Page requests last: software that does not drain them sees them arrive late.
        return queue.step() || pageRequests.step();
    }

    private void doGlobalCommand() {
        globalCommandPending = false;
        int command = (int) fixed.get(VtdRegisters.GCMD);
        int status = (int) fixed.get(VtdRegisters.GSTS);
        status = (status & ~switches) | (command & switches);
        if (VtdRegisters.SRTP.isSet(command)) {
            remapper.setRoot(fixed.get(VtdRegisters.RTADDR));
            if (capabilities.rootPointerInvalidates) {
                invalidation.everything();
            }
        }
        if (VtdRegisters.SFL.isSet(command & commands)) {
            faults.setMemoryLog(fixed.get(VtdRegisters.AFLOG));
        }
        faults.useMemoryLog(VtdRegisters.AFLS.isSet(status));
        status |= command & commands;
        // Write buffers are not modelled, so flushing them completes at once: WBFS is never seen set.
        queue.enable(VtdRegisters.QIES.isSet(status), fixed.get(VtdRegisters.IQA));
        fixed.set(VtdRegisters.GSTS, status);
        remapper.setTranslating(VtdRegisters.TE.isSet(command));
        queue.setScalableMode(remapper.isScalable());
    }

    private void doProtection(long pmen) {
        remapper.setProtectedMemory(
                VtdRegisters.EPM.isSet(pmen) ? ProtectedMemory.of(capabilities, fixed) : ProtectedMemory.NONE);
        fixed.set(VtdRegisters.PMEN, VtdRegisters.PRS.set(pmen, VtdRegisters.EPM.get(pmen)));
    }

    private void doContextCommand() {
        long command = fixed.get(VtdRegisters.CCMD);
        int done = refusesRegisterInvalidation()
                ? Invalidation.REFUSED
                : invalidation.contexts(
                        (int) VtdRegisters.CIRG.get(command),
                        (int) VtdRegisters.CCMD_DID.get(command),
                        (int) VtdRegisters.CCMD_SID.get(command),
                        (int) VtdRegisters.CCMD_FM.get(command));
        fixed.set(VtdRegisters.CCMD, VtdRegisters.CAIG.set(VtdRegisters.ICC.set(command, 0), done));
    }

    /** Whether the queue is enabled, or scalable mode, which needs the queue. */
    private boolean refusesRegisterInvalidation() {
        return queue.isEnabled() || !remapper.isLegacy();
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

    /** Reads the 64 bits at an offset; reads outside registers return 0. */
    private long read(int offset) {
        int record = offset - capabilities.faultOffset;
        if (record >= 0 && record < capabilities.faultCount * VtdRegisters.FRCD_SIZE) {
            return faults.readRecord(record >>> 3);
        }
        if (offset == capabilities.iotlbOffset) {
            return VtdRegisters.readable(VtdRegisters.IVA, invalidateAddress);
        }
        if (VtdPageRequestQueue.isRegister(offset)) {
            return pageRequests.read(offset);
        }
        if (offset == capabilities.iotlbOffset + 8) {
            return VtdRegisters.readable(VtdRegisters.IOTLB, iotlbCommand);
        }
        if (offset >= VtdRegisters.FIXED_END) {
            return 0;
        }
        long kept = fixed.word(offset);
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
                    VtdRegisters.IVA, invalidateAddress, RegisterFile.merge(invalidateAddress, value, low, high));
        } else if (offset == capabilities.iotlbOffset + 8) {
            iotlbCommand = VtdRegisters.stored(
                    VtdRegisters.IOTLB, iotlbCommand, RegisterFile.merge(iotlbCommand, value, low, high));
        } else if (VtdPageRequestQueue.isRegister(offset)) {
            pageRequests.write(offset, RegisterFile.merge(pageRequests.read(offset), value, low, high), low, high);
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

    private void writeFixed(Register register, long value, boolean low, boolean high) {
        long current = fixed.get(register);
        long written = RegisterFile.written(register, current, value, low, high);
        if (isAbsent(register)) {
            return;
        }
        if (register == VtdRegisters.FSTS) {
            faults.writeStatus((int) written);
        } else if (register == VtdRegisters.FECTL) {
            faults.writeControl((int) written);
        } else if (register == VtdRegisters.IQT) {
            queue.writeTail(RegisterFile.merge(queue.readTail(), value, low, high));
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
            fixed.set(register, VtdRegisters.stored(register, 0, written));
            // The pointer's bit is set again when the unit uses the new one.
            fixed.set(VtdRegisters.GSTS, fixed.get(VtdRegisters.GSTS) & ~(written & commands));
        } else {
            fixed.set(register, VtdRegisters.stored(register, current, written));
        }
    }

    /** Returns whether a register belongs to a feature that the unit lacks; it then stays 0. */
    private boolean isAbsent(Register register) {
        boolean low = capabilities.protectedLowMemory;
        boolean high = capabilities.protectedHighMemory;
        return (register == VtdRegisters.AFLOG && !capabilities.advancedFaultLog)
                || (VtdRegisters.isOfQueue(register) && !capabilities.queuedInvalidation)
                || (register == VtdRegisters.IRTA && !capabilities.interruptRemapping)
                || (register == VtdRegisters.PMEN && !low && !high)
                || ((register == VtdRegisters.PLMBASE || register == VtdRegisters.PLMLIMIT) && !low)
                || ((register == VtdRegisters.PHMBASE || register == VtdRegisters.PHMLIMIT) && !high);
    }

    @Override
    public synchronized void reset() {
        fixed.reset();
        setReadOnly();
        invalidateAddress = 0;
        iotlbCommand = 0;
        globalCommandPending = false;
        remapper.reset();
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
        fixed.addTo(digest);
        digest.add(invalidateAddress);
        digest.add(iotlbCommand);
        digest.add(globalCommandPending);
        remapper.addTo(digest);
        contexts.addTo(digest);
        iotlb.addTo(digest);
        pagingCache.addTo(digest);
        scalableCaches.addTo(digest);
        faults.addTo(digest);
        queue.addTo(digest);
        pageRequests.addTo(digest);
    }
}
