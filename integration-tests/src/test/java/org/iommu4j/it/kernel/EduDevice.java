// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.MachineDescription;

/** QEMU's device EDU, which copies 16 bytes between memory and a buffer of its own. */
final class EduDevice {
    /** Vendor and device id, as they are in the configuration space. */
    private static final int ID = 0x11e8_1234;

    private static final long REGISTERS_BYTES = 1L << 20;

    private EduDevice() {}

    /** Has BAR 0 of each of a machine's open as many bytes as in QEMU; a captured machine does not tell. */
    static MachineDescription withRegisters(MachineDescription machine) {
        return machine.withFunctions(machine.functions().stream()
                .map(each -> isOne(each) ? each.withBarSizes(List.of(REGISTERS_BYTES)) : each)
                .toList());
    }

    private static boolean isOne(FunctionDescription function) {
        return ByteBuffer.wrap(function.config()).order(ByteOrder.LITTLE_ENDIAN).getInt() == ID;
    }

    /** The device reads 16 bytes. */
    static long[] read(Endpoint edu, long iova) {
        return new long[] {edu.read(iova, false), edu.read(iova + 8, false)};
    }

    /** The device writes them; where the unit refuses nothing is written. */
    static void write(Endpoint edu, long iova, long... words) {
        edu.write(iova, words[0], false);
        edu.write(iova + 8, words[1], false);
    }
}
