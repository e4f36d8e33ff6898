// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.amdvi;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.RegisterDump;
import org.iommu4j.sim.spi.TableReader;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.spi.TranslationUnitProvider;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.spi.ShownUnit;

/** Builds AMD-Vi units, recognises captured ones, and provides the built-in machines with one. */
public final class AmdViUnitProvider implements TranslationUnitProvider {
    /** The provider's name. */
    public static final String NAME = "amdvi";

    /** EFR of the built-in unit: host tables of up to 6 levels, invalidate-all, hardware error registers. */
    public static final long EFR_6_LEVEL = 0x940L;

    /**
     * EFR of a unit with guest tables besides: PPRSup, GTSup, GLXSup 2, PASmax 15 and GIoSup, so 16 bits of PASID and
     * tables of 4 levels.
     */
    public static final long EFR_GUEST_TABLES = EFR_6_LEVEL | 1 << 1 | 1 << 4 | 2 << 14 | 15L << 32 | 1L << 48;

    /**
     * The capability header of the built-in unit: type 3, devices may have IOTLBs, EFR and a second information
     * register.
     */
    public static final long CAP = 0x190b000fL;

    /** For {@link java.util.ServiceLoader}. */
    public AmdViUnitProvider() {}

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public List<MachineDescription> machines() {
        MachineDescription guestTables = machine("amd-v2", EFR_GUEST_TABLES, 0);
        return List.of(
                machine("amd", EFR_6_LEVEL, 0),
                guestTables.withBootOptions(guestTables.bootOptions().and("amd_iommu=pgtbl_v2")));
    }

    @Override
    public Optional<TranslationUnitSpec> recognise(
            String name, Map<String, String> attributes, ShownUnit known, FirmwareTables firmware) {
        Objects.requireNonNull(name, "name");
        Objects.requireNonNull(attributes, "attributes");
        Objects.requireNonNull(known, "known");
        Objects.requireNonNull(firmware, "firmware");
        return CapturedUnit.recognise(name, attributes, known, firmware);
    }

    @Override
    public Optional<TableReader> reader(RegisterDump registers, Fabric memory) {
        Objects.requireNonNull(registers, "registers");
        Objects.requireNonNull(memory, "memory");
        return AmdViTableReader.of(registers, memory);
    }

    @Override
    public TranslationUnit create(TranslationUnitSpec spec, Fabric fabric) {
        Objects.requireNonNull(spec, "spec");
        Objects.requireNonNull(fabric, "fabric");
        return new AmdViUnit(spec, fabric);
    }

    /**
     * Describes a unit.
     *
     * @param name as Linux shows it, for example {@code ivhd0}
     * @param registerBase physical address of its registers, 16 KiB aligned
     * @param efr the value of EFR
     * @param efr2 the value of EFR2
     */
    public static TranslationUnitSpec unit(String name, long registerBase, long efr, long efr2) {
        return new TranslationUnitSpec(
                NAME, name, 0, registerBase, RegisterFile.SIZE, Map.of("EFR", efr, "EFR2", efr2, "CAP", CAP));
    }

    /**
     * Describes a machine like {@code amd} whose unit has other features.
     *
     * @param name the machine's name
     * @param efr the value of EFR
     * @param efr2 the value of EFR2
     */
    public static MachineDescription machine(String name, long efr, long efr2) {
        Objects.requireNonNull(name, "name");
        return BuiltInMachine.describe(name, efr, efr2);
    }
}
