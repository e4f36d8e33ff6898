// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteOrder;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.iommu4j.sim.spi.TranslationUnitSpec;

/** The memory of a booted guest, a file that QEMU shares. */
final class GuestRam {
    private static final int WORD = Long.BYTES;

    private GuestRam() {}

    /**
     * Sets bits of ECAP in the copy that the guest's VT-d driver made when it found the unit: from then on it believes
     * that the unit can do more.
     *
     * <p>Source: {@code struct intel_iommu}: the base of the registers, their size, CAP and ECAP follow each other.
     *
     * @throws AssertionError where no copy is found
     */
    static void addToEcap(Path ram, TranslationUnitSpec unit, long bits) {
        try (FileChannel channel = FileChannel.open(ram, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            MappedByteBuffer memory = channel.map(MapMode.READ_WRITE, 0, channel.size());
            memory.order(ByteOrder.LITTLE_ENDIAN);
            int copies = 0;
            for (int at = 0; at <= memory.capacity() - 4 * WORD; at += WORD) {
                if (memory.getLong(at) == unit.registerBase()
                        && memory.getLong(at + 2 * WORD) == unit.register("CAP")
                        && memory.getLong(at + 3 * WORD) == unit.register("ECAP")) {
                    memory.putLong(at + 3 * WORD, unit.register("ECAP") | bits);
                    copies++;
                }
            }
            if (copies == 0) {
                throw new AssertionError("the guest's memory has no copy of the capabilities of " + unit.name());
            }
        } catch (IOException e) {
            throw new UncheckedIOException("can't change the guest's memory " + ram, e);
        }
    }
}
