// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.qemu;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import org.junit.jupiter.api.Test;

/**
 * Every bit of a VT-d unit's root, context and PASID entries and of its queue's descriptors, wrong one after the other,
 * on QEMU's unit and on ours: no driver in between.
 *
 * <p>What QEMU does its own way is listed here, bit by bit, and why in {@code docs/qemu.md}; anything else must be the
 * same. There are two versions' lists: 7.2 and 10.0.
 */
@OnEachQemu
class VtdSweepIT {
    private final QemuLab lab;

    VtdSweepIT(QemuLab lab) {
        this.lab = lab;
        if (lab.qemu().isAtLeast(11, 0)) {
            throw lab.unfit("the sweep's lists are of 7.2 and 10.0");
        }
    }

    private String ofVersion(String listOf7, String listOf10) {
        return lab.qemu().isAtLeast(10, 0) ? listOf10 : listOf7;
    }

    /** Both units, and in what they differ. */
    private static final class Both {
        private final VtdByHand theirs;
        private final VtdByHand ours;
        private final List<Difference> differences = new ArrayList<>();
        private int compared;

        Both(QemuLab lab, String options, boolean scalable) {
            QemuMachine emulated = new QemuMachine(lab, new IntelHardware(options));
            theirs = new VtdByHand(emulated, scalable);
            ours = new VtdByHand(new SimulatedMachine(emulated.description(), false), scalable);
        }

        VtdByHand ours() {
            return ours;
        }

        int compared() {
            return compared;
        }

        /** Does the same with both; equal differences of a thing's bits that follow each other are one. */
        void compare(String what, int bit, Function<VtdByHand, String> action) {
            String our = action.apply(ours);
            String their = action.apply(theirs);
            compared++;
            if (our.equals(their)) {
                return;
            }
            Difference before = differences.isEmpty() ? null : differences.get(differences.size() - 1);
            if (before != null && before.goesOnWith(what, bit, our, their)) {
                differences.set(differences.size() - 1, new Difference(what, before.first, bit, our, their));
            } else {
                differences.add(new Difference(what, bit, bit, our, their));
            }
        }

        List<String> differences() {
            return differences.stream().map(Difference::toString).toList();
        }
    }

    private record Difference(String what, int first, int last, String ours, String theirs) {
        boolean goesOnWith(String otherWhat, int bit, String otherOurs, String otherTheirs) {
            return what.equals(otherWhat) && bit == last + 1 && ours.equals(otherOurs) && theirs.equals(otherTheirs);
        }

        @Override
        public String toString() {
            return what + " " + first + (last == first ? "" : "-" + last) + ": " + ours + ", QEMU " + theirs;
        }
    }

    private static String withBit(VtdByHand unit, long address, int bit) {
        unit.store(0x1234_5678L + bit);
        unit.change(address, 1L << bit);
        List<Fault> faults = unit.read();
        unit.change(address, 1L << bit);
        boolean granted = unit.lastRead() == 0x1234_5678L + bit;
        StringBuilder outcome = new StringBuilder(granted ? "granted" : "refused");
        for (Fault fault : faults) {
            outcome.append(" 0x").append(Integer.toHexString(fault.reason()));
        }
        return outcome.toString();
    }

    /** Sweeps words of an entry but for what only moves a pointer inside memory. */
    private static void sweep(Both both, String name, long entry, int words) {
        for (int bit = 0; bit < words * 64; bit = bit == 11 ? 28 : bit + 1) {
            long address = entry + bit / 64 * 8L;
            int inWord = bit % 64;
            both.compare(name, bit, unit -> withBit(unit, address, inWord));
        }
    }

    /** Where QEMU's unit refuses as ours does, for another reason, or does not look. */
    private static final String SCALABLE_MODE_7 = """
            root 0: refused 0x39, QEMU refused 0x1
            root 1-11: refused 0x3a, QEMU refused 0xa
            root 28-47: refused 0x40, QEMU refused 0x9
            root 48-63: refused 0x3a, QEMU refused 0xa
            context 0: refused 0x41, QEMU refused 0x2
            context 2-4: refused 0x42, QEMU granted
            context 5-8: refused 0x42, QEMU refused 0xb
            context 28-47: refused 0x50, QEMU refused 0x58
            context 48-63: refused 0x42, QEMU refused 0xb
            context 64-83: refused 0x42, QEMU refused 0x58
            context 85-255: refused 0x42, QEMU refused 0xb
            directory 0: refused 0x51, QEMU refused 0x58
            directory 2-11: refused 0x52, QEMU granted
            directory 48-63: refused 0x52, QEMU refused 0x58
            PASID 0: refused 0x59, QEMU refused 0x58
            PASID 2-4: refused 0x5b, QEMU refused 0x58
            PASID 5: refused 0x5a, QEMU granted
            PASID 6: refused 0x5b, QEMU granted
            PASID 7-8: refused 0x5b, QEMU refused 0x58
            PASID 9-11: refused 0x5a, QEMU granted
            PASID 28-47: refused 0x7b, QEMU refused 0x3
            PASID 48-63: refused 0x5a, QEMU refused 0x3
            PASID 80-87: refused 0x5a, QEMU granted
            PASID 129: refused 0x5a, QEMU granted
            PASID 135-139: refused 0x5a, QEMU granted
            PASID 176-511: refused 0x5a, QEMU granted""";

    private static final String SCALABLE_MODE_10 = """
            root 0: refused 0x39, QEMU refused 0x1
            root 1-11: refused 0x3a, QEMU refused 0xa
            root 28-47: refused 0x40, QEMU refused 0x9
            root 48-63: refused 0x3a, QEMU refused 0xa
            context 0: refused 0x41, QEMU refused 0x2
            context 2-4: refused 0x42, QEMU granted
            context 5-8: refused 0x42, QEMU refused 0xb
            context 48-63: refused 0x42, QEMU refused 0xb
            context 64-69: refused 0x42, QEMU refused 0x5b
            context 70-78: refused 0x42, QEMU refused 0x51
            context 79-81: refused 0x42, QEMU refused 0x5b
            context 82-83: refused 0x42, QEMU refused 0x51
            context 85-255: refused 0x42, QEMU refused 0xb
            directory 2-11: refused 0x52, QEMU granted
            directory 48-63: refused 0x52, QEMU refused 0x58
            PASID 5: refused 0x5a, QEMU granted
            PASID 9-11: refused 0x5a, QEMU granted
            PASID 28-47: refused 0x7b, QEMU refused 0x3
            PASID 48-63: refused 0x5a, QEMU refused 0x3
            PASID 80-87: refused 0x5a, QEMU granted
            PASID 129: refused 0x5a, QEMU granted
            PASID 135-139: refused 0x5a, QEMU granted
            PASID 176-511: refused 0x5a, QEMU granted""";

    @Test
    void everyBitOfLegacyModesEntriesIsReservedOnBothOrOnNeither() {
        Both both = new Both(lab, "snoop-control=on,aw-bits=48", false);
        sweep(both, "root", VtdByHand.ROOT_ENTRY, 2);
        sweep(both, "context", both.ours().contextEntry(), 2);
        assertThat(both.differences()).isEmpty();
        assertThat(both.compared()).isEqualTo(2 * (2 * 64 - 16));
    }

    @Test
    void qemuDoesNotLookAtAllOfScalableModesEntriesAndHasReasonsOfItsOwn() {
        Both both = new Both(lab, "x-scalable-mode=on,snoop-control=on,aw-bits=48", true);
        sweep(both, "root", VtdByHand.ROOT_ENTRY, 1);
        sweep(both, "context", both.ours().contextEntry(), 4);
        sweep(both, "directory", VtdByHand.DIRECTORY_ENTRY, 1);
        sweep(both, "PASID", VtdByHand.PASID_ENTRY, 8);
        assertThat(String.join("\n", both.differences())).isEqualTo(ofVersion(SCALABLE_MODE_7, SCALABLE_MODE_10));
        assertThat(both.compared()).isEqualTo((1 + 4 + 1 + 8) * 64 - 4 * 16);
    }

    /** What is not supported is taken and ignored. */
    private static final String QUEUE_10 = """
            device TLB 0: error, QEMU taken
            device TLB 16-20: error, QEMU taken
            device TLB 32-47: error, QEMU taken
            device TLB 64: error, QEMU taken
            device TLB 76-127: error, QEMU taken""";

    /** Besides, types are read by their four lowest bits. */
    private static final String QUEUE_7 = """
            type 6-7: error, QEMU taken
            type 20: error, QEMU taken
            type 22-23: error, QEMU taken
            type 36: error, QEMU taken
            type 38-39: error, QEMU taken
            type 52: error, QEMU taken
            type 54-55: error, QEMU taken
            type 68: error, QEMU taken
            type 70-71: error, QEMU taken
            type 84: error, QEMU taken
            type 86-87: error, QEMU taken
            type 100: error, QEMU taken
            type 102-103: error, QEMU taken
            type 116: error, QEMU taken
            type 118-119: error, QEMU taken
            """ + QUEUE_10 + """

            interrupt entry cache 5-26: error, QEMU taken
            interrupt entry cache 48-127: error, QEMU taken""";

    /** The reserved bits of descriptors about PASIDs do not count. */
    private static final String PASIDS_IN_QUEUE_7 = """

            PASID cache 6-15: error, QEMU taken
            PASID cache 52-127: error, QEMU taken
            PASID IOTLB 5-15: error, QEMU taken
            PASID IOTLB 52-63: error, QEMU taken
            PASID IOTLB 71-75: error, QEMU taken
            PASID IOTLB, pages 5-15: error, QEMU taken
            PASID IOTLB, pages 52-63: error, QEMU taken
            PASID IOTLB, pages 71-75: error, QEMU taken""";

    private static final String PASIDS_IN_QUEUE_10 = """

            PASID cache 6-8: error, QEMU taken
            PASID cache 12-15: error, QEMU taken
            PASID cache 52-127: error, QEMU taken
            PASID device TLB 0: error, QEMU taken
            PASID device TLB 4-8: error, QEMU taken
            PASID device TLB 16-51: error, QEMU taken
            PASID device TLB 64: error, QEMU taken
            PASID device TLB 75-127: error, QEMU taken""";

    @Test
    void qemuTakesDescriptorsThatItDoesNotSupport() {
        Both both = new Both(lab, "aw-bits=48", false);
        sweepQueue(both);
        assertThat(String.join("\n", both.differences())).isEqualTo(ofVersion(QUEUE_7, QUEUE_10));
        assertThat(both.compared()).isEqualTo(128 + 8 * 125);
    }

    @Test
    void qemuTakesWideDescriptorsThatItDoesNotSupport() {
        Both both = new Both(lab, "x-scalable-mode=on,aw-bits=48", true);
        sweepQueue(both);
        descriptor(both, "PASID cache", 7 | 1 << 4 | 5 << 16, 0);
        descriptor(both, "PASID IOTLB", 6 | 2 << 4 | 5 << 16, 0);
        descriptor(both, "PASID IOTLB, pages", 6 | 3 << 4 | 5 << 16, VtdByHand.IOVA);
        descriptor(both, "PASID device TLB", 8 | 0x28 << 16, VtdByHand.IOVA);
        String expected = ofVersion(
                QUEUE_7.replace("type 6-7", "type 6") + PASIDS_IN_QUEUE_7,
                "type 8: error, QEMU taken\n" + QUEUE_10 + PASIDS_IN_QUEUE_10);
        assertThat(String.join("\n", both.differences())).isEqualTo(expected);
        assertThat(both.compared()).isEqualTo(128 + 12 * 125);
    }

    /**
     * Every type with nothing but granularity 1 besides, and every bit of what drivers use; not of waits, which write
     * memory.
     */
    private static void sweepQueue(Both both) {
        for (int type = 0; type < 128; type++) {
            long low = (type & 15) | (type >>> 4) << 9 | 1 << 4;
            both.compare("type", type, unit -> unit.submit(low, 0).toString());
        }
        descriptor(both, "context cache, all", 1 | 1 << 4, 0);
        descriptor(both, "context cache, domain", 1 | 2 << 4 | 5 << 16, 0);
        descriptor(both, "context cache, device", 1 | 3 << 4 | 5 << 16 | 0x28L << 32, 0);
        descriptor(both, "IOTLB, all", 2 | 1 << 4, 0);
        descriptor(both, "IOTLB, domain", 2 | 2 << 4 | 5 << 16, 0);
        descriptor(both, "IOTLB, pages", 2 | 3 << 4 | 5 << 16, VtdByHand.IOVA);
        descriptor(both, "device TLB", 3 | 0x28L << 32, VtdByHand.IOVA);
        descriptor(both, "interrupt entry cache", 4, 0);
    }

    private static void descriptor(Both both, String name, long low, long high) {
        both.compare(name, 0, unit -> unit.submit(low, high).toString());
        for (int bit = 4; bit < 128; bit++) {
            long[] words = {low, high};
            words[bit / 64] ^= 1L << bit;
            both.compare(name, bit, unit -> unit.submit(words[0], words[1]).toString());
        }
    }
}
