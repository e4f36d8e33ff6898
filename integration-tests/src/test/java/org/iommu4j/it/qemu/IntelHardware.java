// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.qemu;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.platform.RegisterSpace;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.sim.spi.CacheGeometry;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.ProcessorDescription;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.sim.vtd.DmarWriter;
import org.iommu4j.sim.vtd.VtdUnitProvider;
import org.iommu4j.spi.BootOptions;

/**
 * QEMU's VT-d unit, which takes all functions.
 *
 * @param options what is said of {@code intel-iommu}, for example {@code snoop-control=on}; empty for nothing
 */
record IntelHardware(String options) implements Hardware {
    /** Where QEMU has the registers. */
    static final long REGISTER_BASE = 0xfed90000L;

    /** Bytes of registers that are looked at. */
    static final int REGISTER_BYTES = 0x1000;

    private static final int NO_WRITE = 0x5;
    private static final int NO_READ = 0x6;
    private static final int PASID_TABLE_INVALID = 0x58;
    private static final int PASID_ENTRY_NOT_PRESENT = 0x59;
    private static final int PASID_ENTRY_INVALID = 0x5b;
    private static final int SECOND_STAGE_NOT_PRESENT = 0x79;
    private static final int NOT_PERMITTED_WRITE = 0x85;
    private static final int NOT_PERMITTED_READ = 0x86;

    private static final String FIRST_STAGE = "x-flts=on";

    private static final int VER = 0x00;
    private static final int CAP = 0x08;
    private static final int ECAP = 0x10;
    private static final String UNIT = "dmar0";

    /** Returns a unit in scalable mode that has a first stage and no second. */
    static IntelHardware firstStage(String more) {
        return new IntelHardware("x-scalable-mode=on," + FIRST_STAGE + ",aw-bits=48," + more);
    }

    private boolean hasFirstStage() {
        return options.contains(FIRST_STAGE);
    }

    @Override
    public void requireWitness(QemuLab lab) {
        if (hasFirstStage() && !lab.qemu().isAtLeast(10, 0)) {
            throw lab.unfit("it has no first stage; QEMU 10.0 has");
        }
    }

    @Override
    public String option(Qemu qemu) {
        // Both are no experiments any more in 11.
        String spelled = qemu.isAtLeast(11, 0)
                ? options.replace("x-scalable-mode", "scalable-mode").replace("x-flts", "fsts")
                : options;
        return options.isEmpty() ? "intel-iommu" : "intel-iommu," + spelled;
    }

    @Override
    public boolean reportsFaults(Qemu qemu) {
        return true;
    }

    /**
     * In scalable mode QEMU goes on using legacy mode's reasons for what a second-stage entry does not permit, and
     * of a PASID table entry that is not present it says that it is invalid.
     */
    @Override
    public Fault asReported(Qemu qemu, Fault fault) {
        return switch (fault.reason()) {
            case SECOND_STAGE_NOT_PRESENT, NOT_PERMITTED_WRITE, NOT_PERMITTED_READ ->
                hasFirstStage() ? fault : withReason(fault, fault.write() ? NO_WRITE : NO_READ);
            case PASID_ENTRY_NOT_PRESENT ->
                withReason(fault, qemu.isAtLeast(10, 0) ? PASID_ENTRY_INVALID : PASID_TABLE_INVALID);
            default -> fault;
        };
    }

    @Override
    public boolean isNotPermitted(Qemu qemu, Fault reported) {
        return reported.reason()
                == (hasFirstStage()
                        ? (reported.write() ? NOT_PERMITTED_WRITE : NOT_PERMITTED_READ)
                        : (reported.write() ? NO_WRITE : NO_READ));
    }

    private static Fault withReason(Fault fault, int reason) {
        return new Fault(fault.requesterId(), fault.page(), fault.write(), reason);
    }

    @Override
    public MachineDescription describe(RegisterSpace registers, List<FunctionDescription> functions) {
        RegisterWindow window = registers.map(REGISTER_BASE, REGISTER_BYTES);
        long cap = window.read64(CAP);
        // QEMU's addresses are as wide as the unit's, and so says its own DMAR.
        int width = (int) (cap >>> 16 & 0x3f) + 1;
        TranslationUnitSpec unit = new TranslationUnitSpec(
                VtdUnitProvider.NAME,
                UNIT,
                0,
                REGISTER_BASE,
                REGISTER_BYTES,
                Map.of("VER", (long) window.read32(VER), "CAP", cap, "ECAP", window.read64(ECAP), "HAW", (long) width));
        return new MachineDescription(
                "qemu-intel",
                ProcessorDescription.x86(1, HardwareVirtualization.VMX, CacheGeometry.ORDINARY),
                MEMORY_BYTES,
                List.of(unit),
                below(UNIT, functions),
                Map.of("DMAR", new DmarWriter(width).unit(REGISTER_BASE, true).build()),
                BootOptions.DEFAULT);
    }

    /** Puts all functions below a unit, but for the host bridge. */
    static List<FunctionDescription> below(String unit, List<FunctionDescription> functions) {
        List<FunctionDescription> below = new ArrayList<>();
        for (FunctionDescription function : functions) {
            below.add(new FunctionDescription(
                    function.address(),
                    function.upstreamBridge(),
                    function.config(),
                    function.address().requesterId() == 0 ? Optional.empty() : Optional.of(unit),
                    false));
        }
        return below;
    }

    @Override
    public String toString() {
        return "intel-iommu" + (options.isEmpty() ? "" : "," + options);
    }
}
