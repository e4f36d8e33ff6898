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

    /** Bits 31:20 of every address that is an interrupt. */
    private static final long INTERRUPT_RANGE = 0xfee;

    private static final int PHYSICAL_BITS = 52;

    /** Bits of GCMD that ask for something once, and of GSTS that say it is done. */
    private static final int COMMANDS = (int) (VtdRegisters.SRTP.mask() | VtdRegisters.SIRTP.mask());

    private final TranslationUnitSpec spec;
    private final VtdCapabilities capabilities;
    private final LegacyTables tables;
    private final SecondStageWalker walker;
    private final Epoch epoch = new Epoch();
    private final ContextCache contexts = new ContextCache(epoch);
    private final Iotlb iotlb = new Iotlb(epoch);
    private final PagingCache pagingCache = new PagingCache(epoch);
    private final Invalidation invalidation;
    private final FaultLog faults;
    private final InvalidationQueue queue;
    private final int addressWidth;

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
        tables = new LegacyTables(capabilities, hostAddressWidth, fabric);
        walker = new SecondStageWalker(new SecondStage(capabilities, hostAddressWidth), fabric, pagingCache);
        invalidation = new Invalidation(capabilities, contexts, iotlb, pagingCache);
        faults = new FaultLog(capabilities.faultCount);
        queue = new InvalidationQueue(capabilities, fabric, invalidation, faults);
        addressWidth = capabilities.addressWidth;
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
        if ((root & (TRANSLATING | TTM)) != TRANSLATING || pasid != NO_PASID) {
            return translateSpecially(root, requesterId, address, write);
        }
        if (address >>> 20 == INTERRUPT_RANGE) {
            return Translation.to(address, false);
        }
        // Before anything is looked up: what an invalidation overtakes must be neither used nor cached.
        long began = epoch.current();
        long context = contexts.lookup(requesterId);
        if (isWalked(context) && isInside(context, address)) {
            long entry = iotlb.lookup(ContextCache.domainId(context), address);
            if (entry == SetAssociativeCache.MISS) {
                entry = walk(context, address, write, began);
            }
            if (epoch.current() == began) {
                return (entry & (write ? Iotlb.W : Iotlb.R)) != 0
                        ? answer(requesterId, address, write, context, entry)
                        : conclude(requesterId, address, write, context, entry);
            }
        }
        return translateSlowly(requesterId, address, write);
    }

    private long translateSpecially(long root, int requesterId, long address, boolean write) {
        if ((root & TRANSLATING) == 0) {
            return untranslated(address);
        }
        int reason = (root & TTM) != 0 ? FaultReason.ROOT_TABLE_MODE : FaultReason.PASID_IN_LEGACY_MODE;
        faults.record(requesterId, address, write, reason);
        return Translation.fault(reason);
    }

    /** Handles contexts that are not in the cache or not walked, and walks that an invalidation overtook. */
    private long translateSlowly(int requesterId, long address, boolean write) {
        while (true) {
            long began = epoch.current();
            long context = context(requesterId, began);
            long entry = SetAssociativeCache.MISS;
            if (isWalked(context) && isInside(context, address)) {
                entry = iotlb.lookup(ContextCache.domainId(context), address);
                if (entry == SetAssociativeCache.MISS) {
                    entry = walk(context, address, write, began);
                }
            }
            if (epoch.current() == began) {
                return conclude(requesterId, address, write, context, entry);
            }
        }
    }

    private long walk(long context, long address, boolean write, long began) {
        int domainId = ContextCache.domainId(context);
        long entry = walker.walk(
                domainId,
                ContextCache.table(context),
                ContextCache.levels(context),
                address,
                write,
                capabilities.coherent,
                false,
                began);
        if (!Iotlb.isFault(entry) || (capabilities.cachingMode && Iotlb.refusesAll(entry))) {
            iotlb.fill(domainId, address, entry, began);
        }
        return entry;
    }

    private long context(int requesterId, long began) {
        long context = contexts.lookup(requesterId);
        if (context == SetAssociativeCache.MISS) {
            context = tables.context(root & RTA, requesterId);
            if (!ContextCache.isFault(context) || capabilities.cachingMode) {
                contexts.fill(requesterId, context, began);
            }
        }
        return context;
    }

    private long conclude(int requesterId, long address, boolean write, long context, long entry) {
        if (ContextCache.isFault(context)) {
            return blocked(requesterId, address, write, context, ContextCache.reason(context));
        }
        if (!isInside(context, address)) {
            return blocked(requesterId, address, write, context, FaultReason.ADDRESS_BEYOND);
        }
        if (ContextCache.type(context) == LegacyTables.TT_PASS_THROUGH) {
            return untranslated(address);
        }
        if (Iotlb.isFault(entry)) {
            int reason = Iotlb.reason(entry);
            // What is remembered as not present may have been met by a request of the other kind.
            boolean permission = reason == FaultReason.READ || reason == FaultReason.WRITE;
            int told = write ? FaultReason.WRITE : FaultReason.READ;
            return blocked(requesterId, address, write, context, permission ? told : reason);
        }
        if ((entry & (write ? Iotlb.W : Iotlb.R)) == 0) {
            return blocked(requesterId, address, write, context, write ? FaultReason.WRITE : FaultReason.READ);
        }
        return answer(requesterId, address, write, context, entry);
    }

    private long answer(int requesterId, long address, boolean write, long context, long entry) {
        long physical = Iotlb.physical(entry, address);
        if (physical >>> 20 == INTERRUPT_RANGE) {
            return blocked(requesterId, address, write, context, FaultReason.OUTPUT_INTERRUPT_RANGE);
        }
        return Translation.to(physical, (entry & Iotlb.SNP) != 0);
    }

    private long blocked(int requesterId, long address, boolean write, long context, int reason) {
        if (!ContextCache.faultProcessingDisabled(context) || !FaultReason.isQualified(reason)) {
            faults.record(requesterId, address, write, reason);
        }
        return Translation.fault(reason);
    }

    private static long untranslated(long address) {
        // There is no memory beyond what a physical address can say; don't let such an address wrap around to some.
        return Translation.to(address >>> PHYSICAL_BITS == 0 ? address : -1L, false);
    }

    private static boolean isWalked(long context) {
        return context != SetAssociativeCache.MISS
                && !ContextCache.isFault(context)
                && ContextCache.type(context) != LegacyTables.TT_PASS_THROUGH;
    }

    private boolean isInside(long context, long address) {
        return address >>> Math.min(addressWidth, 12 + 9 * ContextCache.levels(context)) == 0;
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
        return queue.step();
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
    }

    private void doContextCommand() {
        long command = get(VtdRegisters.CCMD);
        int done = queue.isEnabled()
                ? Invalidation.REFUSED
                : invalidation.contexts(
                        (int) VtdRegisters.CIRG.get(command),
                        (int) VtdRegisters.CCMD_DID.get(command),
                        (int) VtdRegisters.CCMD_SID.get(command),
                        (int) VtdRegisters.CCMD_FM.get(command));
        set(VtdRegisters.CCMD, VtdRegisters.CAIG.set(VtdRegisters.ICC.set(command, 0), done));
    }

    private void doIotlbCommand() {
        int done = queue.isEnabled()
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
        faults.reset();
        queue.reset();
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
        faults.addTo(digest);
        queue.addTo(digest);
    }
}
