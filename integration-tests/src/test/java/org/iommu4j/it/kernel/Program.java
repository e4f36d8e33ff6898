// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import java.util.ArrayList;
import java.util.List;
import java.util.function.IntSupplier;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.sim.machine.UserProcess;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.pcie.FunctionConfig;
import org.iommu4j.sim.pcie.RequestStatus;

/** What a truth program does and prints, on our side: the lines that it printed, and its memory and devices. */
abstract class Program {
    static final long PAGE = 4096;

    private static final int COMMAND = 4;
    private static final int MEMORY_AND_BUS_MASTER = 6;

    final KernelHost host;
    final UserProcess process;
    private final List<String> lines = new ArrayList<>();
    private String error = "0";

    Program(KernelHost host, UserProcess process) {
        this.host = host;
        this.process = process;
    }

    /** Makes all calls of the program, and prints its lines. */
    abstract void run();

    /** Returns what was printed. */
    final List<String> lines() {
        return lines;
    }

    @SuppressWarnings("AnnotateFormatMethod") // the annotation is a library's
    final void print(String format, Object... arguments) {
        lines.add(String.format(format, arguments));
    }

    /** Makes a call as C does: a result from 0, or -1 and an errno for {@link #errno}. */
    final int call(IntSupplier call) {
        error = "0";
        try {
            return call.getAsInt();
        } catch (IommuException refusal) {
            error = refusal.errno() == Errno.EDEADLK
                    ? "EDEADLOCK"
                    : refusal.errno().name();
            return -1;
        }
    }

    final int call(Runnable call) {
        return call(() -> {
            call.run();
            return 0;
        });
    }

    /** Returns the errno of the last call by its name, 0 where it succeeded. */
    final String errno() {
        return error;
    }

    /** Formats as C's {@code %#x} does: 0 has no prefix. */
    static String hex(long value) {
        return value == 0 ? "0" : "0x" + Long.toHexString(value);
    }

    // ---- memory ----------------------------------------------------------------------------------------------------

    private SystemMemory memory() {
        return host.machine.memory(0);
    }

    final void putString(long virtualAddress, String text) {
        byte[] bytes = new byte[16];
        for (int i = 0; i < text.length(); i++) {
            bytes[i] = (byte) text.charAt(i);
        }
        for (int word = 0; word < 2; word++) {
            long value = 0;
            for (int i = 7; i >= 0; i--) {
                value = (value << 8) | (bytes[word * 8 + i] & 0xff);
            }
            memory().store(process.translate(virtualAddress + word * 8L), value);
        }
    }

    final String getString(long virtualAddress) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < 16; i++) {
            long at = process.translate(virtualAddress + (i & ~7));
            int c = (int) (memory().load(at) >>> ((i & 7) * 8)) & 0xff;
            if (c == 0) {
                break;
            }
            text.append((char) c);
        }
        return text.toString();
    }

    // ---- the EDU device: it copies 16 bytes to its buffer, or from it
    // ------------------------------------------------

    private final long[] buffer = new long[2];

    final void enable(PciAddress device) {
        FunctionConfig config = host.machine.endpoint(device).config();
        config.write(COMMAND, 2, config.read(COMMAND, 2) | MEMORY_AND_BUS_MASTER);
    }

    final void read(PciAddress device, long iova) {
        Endpoint edu = host.machine.endpoint(device);
        for (int i = 0; i < 2; i++) {
            long value = edu.read(iova + i * 8L, false);
            buffer[i] = edu.lastStatus() == RequestStatus.DONE ? value : 0;
        }
    }

    final void write(PciAddress device, long iova) {
        Endpoint edu = host.machine.endpoint(device);
        for (int i = 0; i < 2; i++) {
            edu.write(iova + i * 8L, buffer[i], false);
        }
    }
}
