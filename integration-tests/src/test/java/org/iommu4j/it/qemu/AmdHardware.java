// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.qemu;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Map;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.platform.RegisterSpace;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.sim.amdvi.AmdViUnitProvider;
import org.iommu4j.sim.amdvi.IvrsWriter;
import org.iommu4j.sim.spi.CacheGeometry;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.ProcessorDescription;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.spi.BootOptions;

/**
 * QEMU's AMD-Vi unit, told to translate.
 *
 * @param bootOptions what the driver is told
 */
record AmdHardware(BootOptions bootOptions) implements Hardware {
    /** Where QEMU has the registers. */
    static final long REGISTER_BASE = 0xfed80000L;

    /** Bytes of registers. */
    static final int REGISTER_BYTES = 0x4000;

    private static final int EFR = 0x30;
    private static final int EFR2 = 0x1a0;
    private static final int CLASS_IOMMU = 0x0806;
    private static final int CLASS_OFFSET = 0x0a;
    private static final int CAPABILITY_OFFSET = 0x40;
    private static final String UNIT = "ivhd0";
    private static final PciAddress SOUTHBRIDGE = new PciAddress(0, 0, 0x14, 0);
    private static final int LAST_REQUESTER_ID = 0x1ff;

    AmdHardware() {
        this(BootOptions.DEFAULT);
    }

    @Override
    public String option(Qemu qemu) {
        return qemu.amdViUnit();
    }

    /** 7.2 and 10.0 never move the tail of the event log. */
    @Override
    public boolean reportsFaults(Qemu qemu) {
        return false;
    }

    @Override
    public void requireWitness(QemuLab lab) {
        if (lab.qemu().isAtLeast(11, 0)) {
            throw lab.unfit("its AMD-Vi unit passes requests that a device table entry blocks; see docs/qemu.md");
        }
    }

    @Override
    public MachineDescription describe(RegisterSpace registers, List<FunctionDescription> functions) {
        RegisterWindow window = registers.map(REGISTER_BASE, REGISTER_BYTES);
        long efr = window.read64(EFR);
        long efr2 = window.read64(EFR2);
        FunctionDescription iommu = functions.stream()
                .filter(function -> words(function).getShort(CLASS_OFFSET) == CLASS_IOMMU)
                .findFirst()
                .orElseThrow(() -> new IllegalStateException("QEMU shows no function of class IOMMU"));
        long header = words(iommu).getInt(CAPABILITY_OFFSET) & 0xffffffffL;
        TranslationUnitSpec unit = new TranslationUnitSpec(
                AmdViUnitProvider.NAME,
                UNIT,
                0,
                REGISTER_BASE,
                REGISTER_BYTES,
                Map.of("EFR", efr, "EFR2", efr2, "CAP", header));
        return new MachineDescription(
                "qemu-amd",
                ProcessorDescription.x86(1, HardwareVirtualization.SVM, CacheGeometry.ORDINARY),
                MEMORY_BYTES,
                List.of(unit),
                IntelHardware.below(UNIT, functions),
                Map.of(
                        "IVRS",
                        IvrsWriter.write(
                                iommu.address(),
                                CAPABILITY_OFFSET,
                                REGISTER_BASE,
                                efr,
                                efr2,
                                LAST_REQUESTER_ID,
                                SOUTHBRIDGE)),
                bootOptions);
    }

    private static ByteBuffer words(FunctionDescription function) {
        return ByteBuffer.wrap(function.config()).order(ByteOrder.LITTLE_ENDIAN);
    }

    @Override
    public String toString() {
        return "amd-iommu";
    }
}
