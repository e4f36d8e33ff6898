// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.UserProcess;

/** A program's memory, in which it has strings of up to 15 characters. */
final class ProgramMemory {
    private static final int BYTES = 16;

    private final Machine machine;
    private final UserProcess process;

    ProgramMemory(Machine machine, UserProcess process) {
        this.machine = machine;
        this.process = process;
    }

    /** The program writes a string. */
    void store(long address, String text) {
        byte[] bytes = Arrays.copyOf(text.getBytes(StandardCharsets.US_ASCII), BYTES);
        ByteBuffer words = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        for (int at = 0; at < BYTES; at += Long.BYTES) {
            machine.memory(0).store(process.translate(address + at), words.getLong(at));
        }
    }

    /** The program reads a string. */
    String string(long address) {
        ByteBuffer words = ByteBuffer.allocate(BYTES).order(ByteOrder.LITTLE_ENDIAN);
        for (int at = 0; at < BYTES; at += Long.BYTES) {
            words.putLong(at, machine.memory(0).load(process.translate(address + at)));
        }
        String text = new String(words.array(), StandardCharsets.US_ASCII);
        int end = text.indexOf('\0');
        return end < 0 ? text : text.substring(0, end);
    }
}
