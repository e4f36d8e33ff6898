// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.sabotage;

import java.util.function.LongSupplier;
import java.util.function.LongUnaryOperator;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.spi.VendorContext;

/** A driver's view of memory in which some words are not stored as the driver meant them. */
public final class ForgetfulMemory implements SystemMemory {
    /** Leaves of buffers point above this, table entries and descriptors have smaller numbers or other bits. */
    private static final long LOWEST_BUFFER = 1L << 24;

    private static final long UNUSED_PAGE = 0x1000;

    private final SystemMemory memory;
    private final Change change;

    /** What becomes of a word. */
    @FunctionalInterface
    private interface Change {
        /**
         * Returns what is stored in its place.
         *
         * @param before the word just below it in memory, which is stored already
         */
        long apply(long word, LongSupplier before);
    }

    private ForgetfulMemory(SystemMemory memory, Change change) {
        this.memory = memory;
        this.change = change;
    }

    /** Second-stage leaves lose SNP, bit 11: words with R or W, and nothing else in the low bits but PS. */
    public static VendorContext withoutSnp(VendorContext context) {
        return changing(
                context,
                word -> (word & 0x803) > 0x800 && (word & 0x77c) == 0 && word >= LOWEST_BUFFER ? word & ~0x800L : word);
    }

    /** Host-table leaves lose FC, bit 60: words with PR, IR, IW and FC. */
    public static VendorContext withoutFc(VendorContext context) {
        return changing(context, word -> (word & 1) != 0 && word >>> 60 == 7 ? word & ~(1L << 60) : word);
    }

    /**
     * VT-d's IOTLB invalidations (descriptor type 2) of a domain or of pages name a domain (31:16) that nobody uses.
     */
    public static VendorContext withoutVtdIotlbInvalidation(VendorContext context) {
        return changing(
                context,
                word -> (word & 0xff0f) == 2 && (word >>> 4 & 3) >= 2 && word >>> 32 == 0 && word >>> 16 != 0
                        ? word | 0xff000000L
                        : word);
    }

    /** VT-d's device-TLB invalidations (descriptor type 3, SID in 47:32) name a page that nobody uses. */
    public static VendorContext withoutVtdDeviceTlbInvalidation(VendorContext context) {
        return changing(
                context,
                (word, before) ->
                        isOfGpu(before.getAsLong() >>> 32) && (before.getAsLong() & 0xf0f) == 3 ? UNUSED_PAGE : word);
    }

    private static boolean isOfGpu(long requesterId) {
        return (requesterId & 0xffff) == BuiltInTopology.GPU.requesterId();
    }

    /** VT-d's wait descriptors (type 5, with SW) lose PD, bit 7: page requests that have arrived are not waited for. */
    public static VendorContext withoutVtdPageRequestDrain(VendorContext context) {
        return changing(context, word -> (word & 0xfff) == 0xa5 ? word & ~0x80L : word);
    }

    /** AMD-Vi's INVALIDATE_IOMMU_PAGES (opcode 3 in 63:60) name a domain (47:32) that nobody uses. */
    public static VendorContext withoutAmdPageInvalidation(VendorContext context) {
        return changing(context, word -> word >>> 60 == 3 && (word & 0xffffffffL) == 0 ? word | (0xff00L << 32) : word);
    }

    /** AMD-Vi's INVALIDATE_IOTLB_PAGES (opcode 4 in 63:60, DeviceID in 15:0) name a page that nobody uses. */
    public static VendorContext withoutAmdIotlbInvalidation(VendorContext context) {
        return changing(
                context,
                (word, before) -> isOfGpu(before.getAsLong()) && before.getAsLong() >>> 60 == 4 ? UNUSED_PAGE : word);
    }

    /**
     * VT-d's IOTLB invalidations of pages (descriptor type 2 with granularity 3, and type 6 of a PASID) claim that only
     * leaves changed: IH, bit 6 of the second word.
     */
    public static VendorContext withoutVtdTableInvalidation(VendorContext context) {
        return changing(
                context,
                (word, before) ->
                        (word & 0xf80) == 0 && isVtdPageInvalidation(before.getAsLong()) ? word | 0x40 : word);
    }

    private static boolean isVtdPageInvalidation(long word) {
        return ((word & 0xff3f) == 0x32 && word >>> 32 == 0) || (word & 0xe3f) == 0x36;
    }

    /** AMD-Vi's INVALIDATE_IOMMU_PAGES (opcode 3) claim that only leaves changed: PDE, bit 1 of the second word. */
    public static VendorContext withoutAmdTableInvalidation(VendorContext context) {
        return changing(
                context, (word, before) -> (word & 0xffa) == 2 && before.getAsLong() >>> 60 == 3 ? word & ~2L : word);
    }

    private static VendorContext changing(VendorContext context, LongUnaryOperator change) {
        return changing(context, (word, before) -> change.applyAsLong(word));
    }

    private static VendorContext changing(VendorContext context, Change change) {
        return context.withMemory(new ForgetfulMemory(context.memory(), change));
    }

    private long changed(long physicalAddress, long word) {
        return change.apply(word, () -> physicalAddress % 4096 == 0 ? 0 : memory.load(physicalAddress - 8));
    }

    @Override
    public long load(long physicalAddress) {
        return memory.load(physicalAddress);
    }

    @Override
    public void store(long physicalAddress, long value) {
        memory.store(physicalAddress, changed(physicalAddress, value));
    }

    @Override
    public boolean compareAndSet(long physicalAddress, long expected, long value) {
        return memory.compareAndSet(physicalAddress, expected, changed(physicalAddress, value));
    }

    @Override
    public void storeRun(long physicalAddress, long first, long increment, int count) {
        memory.storeRun(physicalAddress, changed(physicalAddress, first), increment, count);
    }

    @Override
    public int leadingClear(long physicalAddress, long mask, int count) {
        return memory.leadingClear(physicalAddress, mask, count);
    }

    @Override
    public int leadingSet(long physicalAddress, long mask, int count) {
        return memory.leadingSet(physicalAddress, mask, count);
    }

    @Override
    public void writeBack(long physicalAddress, long size) {
        memory.writeBack(physicalAddress, size);
    }
}
