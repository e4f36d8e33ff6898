// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import static org.iommu4j.bits.BitField.bit;
import static org.iommu4j.bits.BitField.bits;

import org.iommu4j.bits.BitField;
import org.iommu4j.sim.spi.AccessStatus;

/**
 * MSI page tables. Source: manual, "Process to translate addresses of MSIs"; Advanced Interrupt Architecture, "MSI page
 * tables".
 *
 * <p>An entry for custom use is taken as misconfigured. Entries in MRIF mode are not cached, as the architecture
 * advises.
 */
final class MsiTable {
    private static final BitField V = bit(0, "V");
    private static final BitField M = bits(2, 1, "M");
    private static final BitField PPN = bits(53, 10, "PPN");
    private static final BitField MRIF_ADDRESS = bits(53, 7, "MRIF Address[55:9]");
    private static final int MODE_MRIF = 1;
    private static final int MODE_BASIC = 3;
    private static final long RESERVED_BASIC = ~(V.mask() | M.mask() | PPN.mask());
    private static final long RESERVED_MRIF = ~(V.mask() | M.mask() | MRIF_ADDRESS.mask());
    private static final long RESERVED_NOTICE =
            ~(MrifNotice.ID_LOW.mask() | MrifNotice.ID_HIGH.mask() | MrifNotice.PPN.mask());
    private static final int BYTES = 16;

    private final Memory memory;
    private final Features features;
    private final Control control;
    private final Caches caches;

    MsiTable(Memory memory, Features features, Control control, Caches caches) {
        this.memory = memory;
        this.features = features;
        this.control = control;
        this.caches = caches;
    }

    /**
     * Returns the page of an interrupt file; 0 with the fault, or with {@link Request#mrif} when the file is in memory.
     */
    long translate(Request request, DeviceContext device, long guestPhysical) {
        long guestPage = guestPhysical >>> 12;
        long page = caches.msiPages.find(device.guestTag, guestPage);
        if (page == EntryCache.MISS) {
            page = read(request, device, guestPage);
            if (page == 0) {
                return 0;
            }
            caches.msiPages.fill(device.guestTag, guestPage, 0, page, request.epoch);
        }
        return request.needed() == 0 || !request.executes() ? page : request.fault(Cause.INSTRUCTION_ACCESS_FAULT);
    }

    private long read(Request request, DeviceContext device, long guestPage) {
        long at = device.msiTable | extract(guestPage, device.msiMask) * BYTES;
        long first = memory.read(at, control.isBigEndian());
        long second = memory.read(at + Long.BYTES, control.isBigEndian());
        AccessStatus status = memory.status(at, first);
        status = status == AccessStatus.OK ? memory.status(at + Long.BYTES, second) : status;
        if (status != AccessStatus.OK) {
            return request.fault(status == AccessStatus.POISON ? Cause.MSI_CORRUPT : Cause.MSI_LOAD);
        }
        if (!V.isSet(first)) {
            return request.fault(Cause.MSI_NOT_VALID);
        }
        int mode = (int) M.get(first);
        if (mode == MODE_BASIC && (first & RESERVED_BASIC) == 0) {
            return Pte.msiPage(first);
        }
        boolean inMemory = mode == MODE_MRIF
                && features.msiMrif
                && (first & RESERVED_MRIF) == 0
                && (second & RESERVED_NOTICE) == 0;
        if (!inMemory) {
            return request.fault(Cause.MSI_MISCONFIGURED);
        }
        if (request.needed() != 0 && request.executes()) {
            return request.fault(Cause.INSTRUCTION_ACCESS_FAULT);
        }
        request.mrif = MRIF_ADDRESS.get(first) << 9;
        request.notice = second;
        return 0;
    }

    /** Packs the bits of a number where a mask has ones. */
    static long extract(long number, long mask) {
        long packed = 0;
        int to = 0;
        for (long left = mask; left != 0; left &= left - 1) {
            packed |= ((number >>> Long.numberOfTrailingZeros(left)) & 1) << to++;
        }
        return packed;
    }
}
