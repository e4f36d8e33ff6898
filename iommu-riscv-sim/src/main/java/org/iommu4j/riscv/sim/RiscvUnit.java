// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import java.util.function.LongConsumer;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.StateDigest;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.Translation.MemoryType;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.spi.TranslationUnitSpec;

/**
 * A RISC-V IOMMU.
 *
 * <p>Requests take the lock only to record a fault. A translation in progress while another thread's invalidation
 * completes may still return the old page, as for a request in flight; the caches never keep it.
 */
final class RiscvUnit implements TranslationUnit {
    /** Bytes of the register window. */
    static final int WINDOW_BYTES = 4096;

    // Offsets of words of 64 bits; some have two registers of 32
    private static final int CAPABILITIES = 0;
    private static final int FCTL = 8;
    private static final int DDTP = 16;
    private static final int CQB = 24;
    private static final int CQH_CQT = 32;
    private static final int FQB = 40;
    private static final int FQH_FQT = 48;
    private static final int PQB = 56;
    private static final int PQH_PQT = 64;
    private static final int CQCSR_FQCSR = 72;
    private static final int PQCSR_IPSR = 80;
    private static final int TR_REQ_IOVA = 600;
    private static final int TR_REQ_CTL = 608;
    private static final int TR_RESPONSE = 616;
    private static final int IOMMU_QOSID = 624;
    private static final int ICVEC = 760;
    private static final int MSI_CFG_TBL = 768;
    private static final int END_OF_REGISTERS = 1024;

    private static final MemoryType[] MEMORY_TYPES = {
        MemoryType.AS_REQUESTED, MemoryType.NON_CACHEABLE, MemoryType.DEVICE
    };

    /** Each thread's request, whatever the unit, so that making a unit costs no more. */
    private static final ThreadLocal<Request> REQUESTS = ThreadLocal.withInitial(Request::new);

    private final TranslationUnitSpec spec;
    private final Features features;
    private final Control control;
    private final Caches caches = new Caches();
    private final Translator translator;
    private final Interrupts interrupts;
    private final CommandQueue commands;
    private final FaultQueue faults;
    private final PageRequestQueue pageRequests;
    private final DebugTranslation debug;
    private final MrifWriter files;
    private final LongConsumer refusedInterrupts;
    private long qosId;

    /** Guards the registers and the queues. */
    private final Object lock = new Object();

    /**
     * Makes a unit in its power-on state.
     *
     * @throws IllegalArgumentException when its registers make no sense
     */
    RiscvUnit(TranslationUnitSpec spec, Fabric fabric) {
        this.spec = spec;
        features = new Features(spec);
        control = new Control(features);
        Memory memory = new Memory(fabric, features.physicalBits);
        translator = new Translator(memory, features, control, caches);
        interrupts = new Interrupts(features, control, memory);
        faults = new FaultQueue(interrupts, features, memory, control);
        DeviceDirectory devices = translator.devices();
        commands = new CommandQueue(spec, interrupts, memory, fabric, features, control, caches, devices);
        pageRequests = new PageRequestQueue(interrupts, features, memory, fabric, control, devices, caches, faults);
        debug = new DebugTranslation(translator, faults);
        files = new MrifWriter(memory);
        refusedInterrupts = faults::recordRefusedInterrupt;
    }

    @Override
    public TranslationUnitSpec spec() {
        return spec;
    }

    // --- registers ---

    @Override
    public int readRegister32(int offset) {
        checkAligned(offset, Integer.BYTES);
        return (int) (readRegister64(offset & -Long.BYTES) >>> ((offset & 4) * Byte.SIZE));
    }

    @Override
    public long readRegister64(int offset) {
        checkAligned(offset, Long.BYTES);
        synchronized (lock) {
            return isPresent(offset) ? read(offset) : 0;
        }
    }

    /** Returns whether the unit has the registers at an offset; those that it lacks read 0 and ignore writes. */
    private boolean isPresent(int offset) {
        return switch (offset) {
            case PQB, PQH_PQT -> features.ats;
            case TR_REQ_IOVA, TR_REQ_CTL, TR_RESPONSE -> features.debug;
            default -> true;
        };
    }

    private long read(int offset) {
        return switch (offset) {
            case CAPABILITIES -> features.capabilities;
            case FCTL -> control.fctl();
            case DDTP -> control.ddtp();
            case CQB -> commands.base();
            case CQH_CQT -> pair(commands.head(), commands.tail());
            case FQB -> faults.base();
            case FQH_FQT -> pair(faults.head(), faults.tail());
            case PQB -> pageRequests.base();
            case PQH_PQT -> pair(pageRequests.head(), pageRequests.tail());
            case CQCSR_FQCSR -> pair(commands.control(), faults.control());
            case PQCSR_IPSR -> pair(pageRequests.control(), interrupts.pending());
            case TR_REQ_IOVA -> debug.address();
            case TR_REQ_CTL -> debug.control();
            case TR_RESPONSE -> debug.response();
            case IOMMU_QOSID -> qosId;
            case ICVEC -> interrupts.vectors();
            default ->
                offset >= MSI_CFG_TBL && offset < END_OF_REGISTERS ? interrupts.readTable(offset - MSI_CFG_TBL) : 0;
        };
    }

    private static long pair(int low, int high) {
        return Integer.toUnsignedLong(low) | (long) high << Integer.SIZE;
    }

    @Override
    public void writeRegister32(int offset, int value) {
        checkAligned(offset, Integer.BYTES);
        int word = offset & -Long.BYTES;
        int shift = (offset & 4) * Byte.SIZE;
        synchronized (lock) {
            if (isPresent(word) && !writeHalf(offset, value)) {
                long rest = read(word) & ~(0xffffffffL << shift);
                writeWhole(word, rest | Integer.toUnsignedLong(value) << shift);
            }
        }
    }

    @Override
    public void writeRegister64(int offset, long value) {
        checkAligned(offset, Long.BYTES);
        synchronized (lock) {
            if (isPresent(offset) && writeHalf(offset + Integer.BYTES, (int) (value >>> Integer.SIZE))) {
                writeHalf(offset, (int) value);
            } else if (isPresent(offset)) {
                writeWhole(offset, value);
            }
        }
    }

    private static void checkAligned(int offset, int bytes) {
        if (offset % bytes != 0) {
            throw new IllegalStateException("access of " + bytes + " bytes at register offset 0x"
                    + Integer.toHexString(offset) + " is not aligned");
        }
    }

    /** Writes a register of 32 bits, and returns whether there is one, else it is half of a wider one. */
    private boolean writeHalf(int offset, int value) {
        switch (offset) {
            case FCTL -> {
                control.writeFctl(value, commands.isOn() || faults.isOn() || pageRequests.isOn());
                interrupts.updateWires();
            }
            case CQH_CQT + Integer.BYTES -> commands.writeIndex(value);
            case FQH_FQT -> faults.writeIndex(value);
            case PQH_PQT -> pageRequests.writeIndex(value);
            case CQCSR_FQCSR -> commands.writeControl(value);
            case CQCSR_FQCSR + Integer.BYTES -> faults.writeControl(value);
            case PQCSR_IPSR -> {
                if (features.ats) {
                    pageRequests.writeControl(value);
                }
            }
            case PQCSR_IPSR + Integer.BYTES -> clearInterrupts(value);
            case FCTL + Integer.BYTES, CQH_CQT, FQH_FQT + Integer.BYTES, PQH_PQT + Integer.BYTES -> {} // read-only
            default -> {
                return false;
            }
        }
        return true;
    }

    private void clearInterrupts(int value) {
        interrupts.clear(value);
        commands.updateInterrupt();
        faults.updateInterrupt();
        pageRequests.updateInterrupt();
    }

    private void writeWhole(int offset, long value) {
        switch (offset) {
            case DDTP -> control.writeDdtp(value);
            case CQB -> commands.writeBase(value);
            case FQB -> faults.writeBase(value);
            case PQB -> pageRequests.writeBase(value);
            case TR_REQ_IOVA -> debug.writeAddress(value);
            case TR_REQ_CTL -> debug.writeControl(value);
            case IOMMU_QOSID -> qosId = value & features.qosIdBits;
            case ICVEC -> interrupts.writeVectors(value);
            default -> {
                if (offset >= MSI_CFG_TBL && offset < END_OF_REGISTERS) {
                    interrupts.writeTable(offset - MSI_CFG_TBL, value);
                }
            }
        }
    }

    // --- requests ---

    @Override
    public long translate(int sourceId, int pasid, long address, int flags) {
        long wanted = rights(flags, Pte.X);
        long page = pasid == NO_PASID ? translator.cachedPage(sourceId, address, wanted) : 0;
        if (page != 0) {
            return Translation.to(Pte.translate(page, address), false, MEMORY_TYPES[Pte.memoryType(page)]);
        }
        Request request = begin(Request.UNTRANSLATED, sourceId, pasid, address, flags);
        request.wanted = wanted;
        translator.translate(request);
        return request.cause == Cause.NONE ? answer(request) : refuse(request);
    }

    @Override
    public long passTranslated(int sourceId, int pasid, long address, int flags) {
        Request request = begin(Request.TRANSLATED, sourceId, pasid, address, flags);
        request.wanted = rights(flags, request.hasProcess() ? Pte.R | Pte.X : Pte.R);
        translator.translate(request);
        return request.cause == Cause.NONE ? answer(request) : refuse(request);
    }

    @Override
    public long requestTranslation(int sourceId, int pasid, long address, int flags) {
        Request request = begin(Request.TRANSLATION_REQUEST, sourceId, pasid, address, flags);
        long asked = ((flags & RequestFlags.READ) != 0 ? Pte.R : 0)
                | (RequestFlags.writes(flags) ? Pte.W : 0)
                | (request.hasProcess() && (flags & RequestFlags.EXECUTE) != 0 ? Pte.X : 0);
        request.wanted = asked | Pte.R;
        translator.translate(request);
        if (request.cause != Cause.NONE) {
            return Cause.isAnswerWithoutRights(request.cause) ? NOT_TRANSLATED : refuse(request);
        }
        // A file in memory takes untranslated requests only.
        return request.isForMrif() || (asked & ~request.granted) != 0 ? NOT_TRANSLATED : answer(request);
    }

    private Request begin(int type, int sourceId, int pasid, long address, int flags) {
        Request request = REQUESTS.get();
        request.begin(type, sourceId, pasid, address);
        request.privileged = request.hasProcess() && (flags & RequestFlags.PRIVILEGED) != 0;
        return request;
    }

    private static long rights(int flags, long ofExecution) {
        return RequestFlags.writes(flags) ? Pte.W : (flags & RequestFlags.EXECUTE) != 0 ? ofExecution : Pte.R;
    }

    private long answer(Request request) {
        if (!request.isForMrif()) {
            return Translation.to(request.translated, false, MEMORY_TYPES[request.memoryType]);
        }
        // A read of such a file is aborted without a record.
        return request.stores() ? Translation.consumed(request.mrif) : Translation.fault(Cause.TYPE_DISALLOWED);
    }

    private long refuse(Request request) {
        synchronized (lock) {
            faults.record(request);
        }
        return Translation.fault(request.cause);
    }

    /** Stores an interrupt message, which has 4 bytes; a request that is not the thread's last is looked up again. */
    @Override
    public int consume(long translation, int sourceId, int pasid, long address, int flags, long data, int bytes) {
        if (!Translation.isConsumed(translation)) {
            throw new IllegalStateException("unit " + spec.name() + " does not take writes of "
                    + Translation.toString(translation) + " for 0x" + Long.toHexString(address));
        }
        Request request = REQUESTS.get();
        if (!request.isFor(sourceId, pasid, address, Translation.address(translation))) {
            request = begin(Request.UNTRANSLATED, sourceId, pasid, address, flags);
            request.wanted = Pte.W;
            translator.translate(request);
        }
        if (request.cause == Cause.NONE && request.isForMrif() && bytes == Integer.BYTES) {
            files.store(request, (int) data);
        }
        if (request.cause != Cause.NONE) {
            refuse(request);
        }
        return request.cause;
    }

    @Override
    public void requestPage(int sourceId, int pasid, long address, int flags, int group) {
        synchronized (lock) {
            pageRequests.arrive(sourceId, pasid, address, flags, group);
        }
    }

    /**
     * Returns this thread's last request, which has more of the answer than a {@link Translation}; that of an
     * untranslated request to a cached page is not kept.
     */
    Request lastRequest() {
        return REQUESTS.get();
    }

    Caches caches() {
        return caches;
    }

    Translator translator() {
        return translator;
    }

    @Override
    public boolean completeInvalidation(int sourceId, int tags, int count) {
        synchronized (lock) {
            return commands.complete(sourceId, tags, count);
        }
    }

    @Override
    public void timeOutInvalidations(int tags) {
        synchronized (lock) {
            commands.timeOut(tags);
        }
    }

    // --- events ---

    @Override
    public boolean step() {
        synchronized (lock) {
            return control.step()
                    || commands.turnOnOrOff()
                    || faults.turnOnOrOff()
                    || pageRequests.turnOnOrOff()
                    || interrupts.step(refusedInterrupts)
                    || commands.step()
                    || debug.step()
                    // Page requests last: software that does not wait for them sees them arrive late.
                    || pageRequests.step();
        }
    }

    @Override
    public void reset() {
        synchronized (lock) {
            control.reset();
            commands.reset();
            faults.reset();
            pageRequests.reset();
            interrupts.reset();
            debug.reset();
            caches.reset();
            qosId = 0;
        }
    }

    @Override
    public void addTo(StateDigest digest) {
        synchronized (lock) {
            control.addTo(digest);
            commands.addTo(digest);
            faults.addTo(digest);
            pageRequests.addTo(digest);
            interrupts.addTo(digest);
            debug.addTo(digest);
            caches.addTo(digest);
            digest.add(qosId);
        }
    }
}
