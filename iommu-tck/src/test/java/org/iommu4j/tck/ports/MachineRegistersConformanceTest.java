// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.ports;

import java.util.Optional;
import java.util.OptionalLong;
import org.iommu4j.LinuxRelease;
import org.iommu4j.platform.RegisterSpace;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.vtd.VtdUnitProvider;
import org.iommu4j.tck.RegisterSpaceConformance;

/** A simulated machine's registers: those of a VT-d unit, beyond whose end all ones are read. */
class MachineRegistersConformanceTest extends RegisterSpaceConformance {
    @Override
    protected Registers newRegisters() {
        Machine machine = SimulatedPlatform.flat();
        RegisterSpace space = machine.vendorContext(LinuxRelease.NEWEST).registers();
        return new Registers(
                space,
                machine.vendorContext(LinuxRelease.NEWEST).registers(),
                SimulatedPlatform.REGISTERS,
                0x1000,
                SimulatedPlatform.CAP,
                VtdUnitProvider.CAP_4_LEVEL,
                SimulatedPlatform.RTADDR,
                -1L << 12,
                true,
                false,
                true,
                OptionalLong.of(0x1_0000_0000L),
                Optional.empty());
    }
}
