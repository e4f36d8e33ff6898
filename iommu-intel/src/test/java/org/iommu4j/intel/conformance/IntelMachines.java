// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel.conformance;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.machine.Machines;
import org.iommu4j.sim.spi.MachineDescription;

/** VT-d machines whose units or devices are like the built-in ones but for something. */
public final class IntelMachines {
    private IntelMachines() {}

    /** Returns two units with the same registers: the first device is behind {@code dmar1}, the second behind dmar0. */
    public static MachineDescription twoUnits(long cap, long ecap) {
        return twoUnits(cap, ecap, cap, ecap);
    }

    /** Returns two units: the first device is behind {@code dmar1}, the second behind {@code dmar0}. */
    public static MachineDescription twoUnits(long cap1, long ecap1, long cap0, long ecap0) {
        MachineDescription machine = MachineFactory.load().named("intel-mixed");
        machine = Machines.withRegister(machine, "dmar1", "CAP", cap -> cap1);
        machine = Machines.withRegister(machine, "dmar1", "ECAP", ecap -> ecap1);
        machine = Machines.withRegister(machine, "dmar0", "CAP", cap -> cap0);
        return Machines.withRegister(machine, "dmar0", "ECAP", ecap -> ecap0);
    }

    /** Returns the machine with PASIDs of 16 bits in its two GPUs, and with translation caches if asked for. */
    public static MachineDescription withPasids(MachineDescription machine, boolean translationCaches) {
        Map<String, byte[]> tables = new HashMap<>(machine.acpiTables());
        tables.computeIfPresent("DMAR", (signature, dmar) -> withEveryRootPort(dmar));
        return Machines.withPasids(machine.withAcpiTables(tables), translationCaches);
    }

    /** Adds the structure (ATSR, VT-d 8.5) that lets devices below every root port have translation caches. */
    private static byte[] withEveryRootPort(byte[] dmar) {
        byte[] longer = Arrays.copyOf(dmar, dmar.length + 8);
        ByteBuffer bytes = ByteBuffer.wrap(longer).order(ByteOrder.LITTLE_ENDIAN);
        bytes.putShort(dmar.length, (short) 2).putShort(dmar.length + 2, (short) 8);
        bytes.put(dmar.length + 4, (byte) 1);
        bytes.putInt(4, longer.length);
        longer[9] = 0;
        int sum = 0;
        for (byte b : longer) {
            sum += b;
        }
        longer[9] = (byte) -sum;
        return longer;
    }
}
