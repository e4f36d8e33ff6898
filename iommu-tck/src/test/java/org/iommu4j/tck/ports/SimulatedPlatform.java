// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.ports;

import java.util.List;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.vtd.VtdUnitProvider;

/** Simulated machines with a VT-d unit, whose registers these tests know. */
final class SimulatedPlatform {
    static final long REGISTERS = 0xfed90000L;
    static final int GCMD = 0x18;
    static final int GSTS = 0x1c;
    static final int RTADDR = 0x20;
    static final int CAP = 0x08;
    /** Of GCMD: set the root table pointer; GSTS has the same bit when that is done. */
    static final int SRTP = 1 << 30;

    private SimulatedPlatform() {}

    static MachineDescription description() {
        return VtdUnitProvider.machine("ports", VtdUnitProvider.CAP_4_LEVEL, VtdUnitProvider.ECAP_SNOOP_CONTROL);
    }

    static Machine flat() {
        return factory().createFlat(description());
    }

    /** Makes a machine with caches and so much memory. */
    static Machine withMemory(long bytes) {
        MachineDescription like = description();
        return factory()
                .create(new MachineDescription(
                        like.name(),
                        like.processors(),
                        bytes,
                        List.of(),
                        List.of(),
                        like.acpiTables(),
                        like.bootOptions()));
    }

    static MachineFactory factory() {
        return new MachineFactory(List.of(new VtdUnitProvider()));
    }
}
