// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd.conformance;

import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.tck.Machines;

/** AMD-Vi machines whose unit is like the built-in one but for something. */
public final class AmdMachines {
    private static final int NP_CACHE = 1 << 26;

    private AmdMachines() {}

    /** Sets NpCache in the capability header: the unit may cache entries that are not present. */
    public static MachineDescription cachingNotPresent(MachineDescription machine) {
        return Machines.withRegister(machine, machine.units().get(0).name(), "CAP", cap -> cap | NP_CACHE)
                .withFunctions(machine.functions().stream()
                        .map(function ->
                                function.address().toString().equals("0000:00:00.2") ? withNpCache(function) : function)
                        .toList());
    }

    /** Returns the machine on which guest tables take PASIDs, as they do in no Linux. */
    public static MachineDescription takingPasids(MachineDescription machine) {
        return machine.withBootOptions(machine.bootOptions().and("iommu4j.amd=pasids"));
    }

    private static FunctionDescription withNpCache(FunctionDescription function) {
        byte[] config = function.config();
        int capability = config[0x34] & 0xff;
        config[capability + 3] |= (byte) (NP_CACHE >>> 24);
        return Machines.withConfig(function, config);
    }
}
