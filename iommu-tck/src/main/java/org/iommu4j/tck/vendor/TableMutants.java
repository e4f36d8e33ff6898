// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.vendor;

import java.util.Arrays;
import java.util.Random;
import org.iommu4j.platform.AcpiTable;
import org.iommu4j.platform.DeviceTree;

/** Damages ACPI tables, and device trees, whose length is in the other byte order and which have no checksum. */
final class TableMutants {
    private static final int LENGTH = 4;
    private static final int CHECKSUM = 9;
    private static final int MOST_BYTES = 1 << 12;

    private TableMutants() {}

    /** Returns a table with its first bytes only; its header declares that length. */
    static byte[] cut(byte[] table, int length) {
        return sealed(Arrays.copyOf(table, length));
    }

    /** Returns a table with the length and the checksum put right, as far as it has room for them. */
    static byte[] sealed(byte[] table) {
        byte[] right = table.clone();
        for (int i = 0; i < 4 && LENGTH + i < right.length; i++) {
            int shift = DeviceTree.recognises(table) ? 24 - 8 * i : 8 * i;
            right[LENGTH + i] = (byte) (right.length >>> shift);
        }
        return summed(right);
    }

    /** Returns a table with the checksum put right. */
    static byte[] summed(byte[] table) {
        byte[] right = table.clone();
        if (right.length > CHECKSUM && !DeviceTree.recognises(table)) {
            right[CHECKSUM] = 0;
            int sum = 0;
            for (byte each : right) {
                sum += each;
            }
            right[CHECKSUM] = (byte) -sum;
        }
        return right;
    }

    /** Returns an ACPI table with a wrong checksum and no other change. */
    static byte[] wronglySummed(byte[] table) {
        byte[] wrong = table.clone();
        wrong[CHECKSUM]++;
        return wrong;
    }

    /** Returns a mutant; most have a right length and checksum, so that their contents are looked at. */
    static byte[] mutant(byte[] original, Random random) {
        byte[] table = original.clone();
        for (int changes = 1 + random.nextInt(4); changes > 0; changes--) {
            table = changed(table, random);
        }
        return switch (random.nextInt(8)) {
            case 0 -> table;
            case 1 -> summed(table);
            default -> sealed(table);
        };
    }

    private static byte[] changed(byte[] table, Random random) {
        if (table.length <= AcpiTable.HEADER_LENGTH) {
            return Arrays.copyOf(table, AcpiTable.HEADER_LENGTH + random.nextInt(64));
        }
        int at = random.nextInt(8) == 0
                ? random.nextInt(table.length)
                : AcpiTable.HEADER_LENGTH + random.nextInt(table.length - AcpiTable.HEADER_LENGTH);
        byte[] changed = table.clone();
        switch (random.nextInt(8)) {
            case 0 -> changed[at] ^= (byte) (1 << random.nextInt(8));
            case 1 -> changed[at] = (byte) random.nextInt(256);
            case 2 -> fill(changed, at, 1 << random.nextInt(4), 0);
            case 3 -> fill(changed, at, 1 << random.nextInt(4), -1);
            case 4 -> {
                return Arrays.copyOf(table, at);
            }
            case 5 -> {
                return inserted(table, at, random.nextInt(table.length), 1 + random.nextInt(64));
            }
            case 6 -> {
                byte[] noise = new byte[1 + random.nextInt(16)];
                random.nextBytes(noise);
                System.arraycopy(noise, 0, changed, at, Math.min(noise.length, table.length - at));
            }
            default -> {
                byte[] noise = new byte[random.nextInt(256)];
                random.nextBytes(noise);
                byte[] all = Arrays.copyOf(table, AcpiTable.HEADER_LENGTH + noise.length);
                System.arraycopy(noise, 0, all, AcpiTable.HEADER_LENGTH, noise.length);
                return all;
            }
        }
        return changed;
    }

    private static void fill(byte[] table, int at, int count, int value) {
        Arrays.fill(table, at, Math.min(table.length, at + count), (byte) value);
    }

    /** Repeats a part of the table inside it. */
    private static byte[] inserted(byte[] table, int at, int from, int count) {
        int length = Math.min(count, table.length - from);
        if (table.length + length > MOST_BYTES) {
            return table;
        }
        byte[] longer = Arrays.copyOf(table, table.length + length);
        System.arraycopy(table, at, longer, at + length, table.length - at);
        System.arraycopy(table, from, longer, at, length);
        return longer;
    }
}
