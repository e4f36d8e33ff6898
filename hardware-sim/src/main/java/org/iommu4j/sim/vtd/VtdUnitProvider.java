// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.vtd;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalLong;
import org.iommu4j.bits.Register;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.AcpiTable;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.spi.CacheGeometry;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.ImageFabric;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.ProcessorDescription;
import org.iommu4j.sim.spi.RegisterDump;
import org.iommu4j.sim.spi.TableReader;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.spi.TranslationUnitProvider;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.spi.BootOptions;
import org.iommu4j.spi.HostFacts;
import org.iommu4j.spi.ShownUnit;
import org.jspecify.annotations.Nullable;

/**
 * Builds Intel VT-d units, recognises captured ones, and provides the built-in machines with them.
 *
 * <p>A unit's specification has the values of VER, CAP and ECAP, and may have HAW: the host address width in bits,
 * which DMAR holds and no register does. Address bits of entries beyond it are reserved; the default is 52.
 */
public final class VtdUnitProvider implements TranslationUnitProvider {
    /** The provider's name. */
    public static final String NAME = "vtd";

    /**
     * CAP of a server unit: 48-bit tables of 4 levels, 2M and 1G leaves, page-selective invalidation, 8 fault records,
     * no caching mode.
     */
    public static final long CAP_4_LEVEL = 0xd2078c106f0466L;

    /** ECAP with snoop control, coherent page walks, queued invalidation, interrupt remapping and pass-through. */
    public static final long ECAP_SNOOP_CONTROL = 0xf020dfL;

    /** ECAP without snoop control and device TLBs, otherwise as {@link #ECAP_SNOOP_CONTROL}. */
    public static final long ECAP_NO_SNOOP_CONTROL = 0xf0205bL;

    /** The bits of ECAP for scalable mode with first-stage tables and coherent walks of PASID tables. */
    private static final long ECAP_FIRST_STAGE = 1L << 43 | 1L << 47 | 1L << 48;

    /** The bit of ECAP for coherent page walks. */
    public static final long ECAP_C = 1L;

    /** The bit of CAP for caching mode: entries that are not present may be cached. */
    public static final long CAP_CM = 1L << 7;

    /** The bits of ECAP for nested translation: a second stage in scalable mode, and NEST. */
    private static final long ECAP_NESTED = ECAP_FIRST_STAGE | 1L << 46 | 1L << 26;

    private static final long FIRST_REGISTER_BASE = 0xfed90000L;
    private static final long SECOND_REGISTER_BASE = 0xfed91000L;
    private static final int HOST_ADDRESS_WIDTH = 46;
    private static final int MAX_ADDRESS_WIDTH = 52;
    private static final long VERSION_1_0 = 0x10;

    private static final String VER = "VER";
    private static final String CAP = "CAP";
    private static final String ECAP = "ECAP";
    private static final String HAW = "HAW";
    private static final String ATTRIBUTES = "intel-iommu/";
    private static final String UNIT_PREFIX = "dmar";

    /** For {@link java.util.ServiceLoader}. */
    public VtdUnitProvider() {}

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public List<MachineDescription> machines() {
        return List.of(
                machine("intel-sc", CAP_4_LEVEL, ECAP_SNOOP_CONTROL),
                machine("intel-nosc", CAP_4_LEVEL, ECAP_NO_SNOOP_CONTROL),
                withoutSelfSnoop(machine("intel-no-self-snoop", CAP_4_LEVEL, ECAP_NO_SNOOP_CONTROL)),
                mixedMachine("intel-mixed", ECAP_SNOOP_CONTROL, ECAP_NO_SNOOP_CONTROL),
                mixedMachine(
                        "intel-mixed-fs",
                        ECAP_SNOOP_CONTROL | ECAP_FIRST_STAGE,
                        ECAP_NO_SNOOP_CONTROL | ECAP_FIRST_STAGE),
                mixedMachine("intel-nest", ECAP_SNOOP_CONTROL | ECAP_NESTED, ECAP_NO_SNOOP_CONTROL | ECAP_NESTED),
                mixedMachine("intel-mixed-walks", ECAP_NO_SNOOP_CONTROL, ECAP_NO_SNOOP_CONTROL & ~ECAP_C),
                mixedGroupMachine());
    }

    /**
     * Describes a machine like {@code intel-sc} whose one unit has other capabilities.
     *
     * @param name the machine's name
     * @param cap the value of CAP
     * @param ecap the value of ECAP
     */
    public static MachineDescription machine(String name, long cap, long ecap) {
        Objects.requireNonNull(name, "name");
        return machine(
                name,
                List.of(builtIn("dmar0", FIRST_REGISTER_BASE, cap, ecap)),
                BuiltInTopology.functions("dmar0", "dmar0"),
                new DmarWriter(HOST_ADDRESS_WIDTH)
                        .unit(FIRST_REGISTER_BASE, true)
                        .build());
    }

    private static MachineDescription withoutSelfSnoop(MachineDescription machine) {
        ProcessorDescription processors = machine.processors();
        return machine.withProcessors(
                processors.withFeatures(processors.features().withSelfSnoop(false)));
    }

    /**
     * The second GPU and its port have their own unit; everything else has another one.
     *
     * @param ecap the value of ECAP of the unit of everything else
     * @param secondEcap the value of ECAP of the second GPU's unit
     */
    private static MachineDescription mixedMachine(String name, long ecap, long secondEcap) {
        PciAddress port = BuiltInTopology.SECOND_GPU_PORT;
        PciAddress gpu = BuiltInTopology.SECOND_GPU;
        return machine(
                name,
                List.of(
                        builtIn("dmar0", FIRST_REGISTER_BASE, CAP_4_LEVEL, secondEcap),
                        builtIn("dmar1", SECOND_REGISTER_BASE, CAP_4_LEVEL, ecap)),
                BuiltInTopology.functions("dmar1", "dmar0"),
                new DmarWriter(HOST_ADDRESS_WIDTH)
                        .unit(FIRST_REGISTER_BASE, false)
                        .bridge(port.bus(), port.device(), port.function())
                        .endpoint(port.bus(), port.device(), port.function(), gpu.device(), gpu.function())
                        .unit(SECOND_REGISTER_BASE, true)
                        .build());
    }

    /**
     * The first GPU has a second function, which is in its group and has a unit of its own without snoop control;
     * everything else has one with it.
     */
    private static MachineDescription mixedGroupMachine() {
        PciAddress port = BuiltInTopology.GPU_PORT;
        PciAddress mate = BuiltInTopology.GPU_MATE;
        return machine(
                "intel-mixed-group",
                List.of(
                        builtIn("dmar0", FIRST_REGISTER_BASE, CAP_4_LEVEL, ECAP_NO_SNOOP_CONTROL),
                        builtIn("dmar1", SECOND_REGISTER_BASE, CAP_4_LEVEL, ECAP_SNOOP_CONTROL)),
                BuiltInTopology.functionsWithMate("dmar1", "dmar0", "dmar1"),
                new DmarWriter(HOST_ADDRESS_WIDTH)
                        .unit(FIRST_REGISTER_BASE, false)
                        .endpoint(port.bus(), port.device(), port.function(), mate.device(), mate.function())
                        .unit(SECOND_REGISTER_BASE, true)
                        .build());
    }

    private static MachineDescription machine(
            String name, List<TranslationUnitSpec> units, List<FunctionDescription> functions, byte[] dmar) {
        return new MachineDescription(
                name,
                ProcessorDescription.x86(BuiltInTopology.CPUS, HardwareVirtualization.VMX, CacheGeometry.ORDINARY),
                BuiltInTopology.MEMORY_BYTES,
                units,
                functions,
                Map.of("DMAR", dmar),
                BootOptions.DEFAULT);
    }

    private static TranslationUnitSpec builtIn(String name, long registerBase, long cap, long ecap) {
        return unit(
                name, 0, registerBase, Map.of(VER, VERSION_1_0, CAP, cap, ECAP, ecap, HAW, (long) HOST_ADDRESS_WIDTH));
    }

    /**
     * Describes a unit of version 1.0 in segment 0.
     *
     * @param name as Linux shows it, for example {@code dmar0}
     * @param registerBase physical address of its registers, 4 KiB aligned
     * @param cap the value of CAP
     * @param ecap the value of ECAP
     */
    public static TranslationUnitSpec unit(String name, long registerBase, long cap, long ecap) {
        return unit(name, 0, registerBase, Map.of(VER, VERSION_1_0, CAP, cap, ECAP, ecap));
    }

    private static TranslationUnitSpec unit(String name, int segment, long registerBase, Map<String, Long> registers) {
        VtdCapabilities capabilities =
                new VtdCapabilities(registers.getOrDefault(CAP, 0L), registers.getOrDefault(ECAP, 0L));
        return new TranslationUnitSpec(NAME, name, segment, registerBase, capabilities.windowSize(), registers);
    }

    @Override
    public Optional<TranslationUnitSpec> recognise(
            String name, Map<String, String> attributes, ShownUnit known, FirmwareTables firmware) {
        Objects.requireNonNull(name, "name");
        Objects.requireNonNull(attributes, "attributes");
        Objects.requireNonNull(known, "known");
        Objects.requireNonNull(firmware, "firmware");
        Map<String, Long> registers = new LinkedHashMap<>();
        long registerBase;
        if (attributes.keySet().stream().anyMatch(path -> path.startsWith(ATTRIBUTES))) {
            registerBase = hex(name, attributes, "address");
            registers.put(VER, version(name, attributes));
            registers.put(CAP, hex(name, attributes, "cap"));
            registers.put(ECAP, hex(name, attributes, "ecap"));
        } else if (attributes.isEmpty() && HostFacts.isNamed(name, UNIT_PREFIX)) {
            registerBase = known.registerBase().orElseThrow(() -> lacking(name, "its register base"));
            registers.put(VER, known.registers().getOrDefault(VER, VERSION_1_0));
            registers.put(CAP, known(name, known, CAP));
            registers.put(ECAP, known(name, known, ECAP));
        } else {
            return Optional.empty();
        }
        int segment = 0;
        Optional<byte[]> table = firmware.table("DMAR");
        if (table.isPresent()) {
            AcpiTable dmar = AcpiTable.parse("DMAR", table.get());
            registers.put(HAW, Math.min(dmar.u8(36) + 1L, MAX_ADDRESS_WIDTH));
            segment = segment(dmar, registerBase);
        }
        return Optional.of(unit(name, segment, registerBase, registers));
    }

    private static long known(String unit, ShownUnit known, String register) {
        Long value = known.registers().get(register);
        if (value == null) {
            throw lacking(unit, register);
        }
        return value;
    }

    private static IllegalArgumentException lacking(String unit, String what) {
        return new IllegalArgumentException("unit " + unit + " has no attributes, and no other input has " + what
                + ": the kernel log of a whole boot has");
    }

    /** Returns the segment of the DRHD with a register base; 0 when the table has none. */
    private static int segment(AcpiTable dmar, long registerBase) {
        int drhdBytes = 16;
        int at = 48;
        while (at + drhdBytes <= dmar.length() && dmar.u16(at + 2) >= 4) {
            if (dmar.u16(at) == 0 && dmar.u64(at + 8) == registerBase) {
                return dmar.u16(at + 6);
            }
            at += dmar.u16(at + 2);
        }
        return 0;
    }

    private static long hex(String unit, Map<String, String> attributes, String attribute) {
        String text = attribute(unit, attributes, attribute);
        try {
            return Long.parseUnsignedLong(text, 16);
        } catch (NumberFormatException e) {
            throw new IllegalArgumentException(
                    "unit " + unit + ": " + ATTRIBUTES + attribute + " is '" + text + "', expected a hex number", e);
        }
    }

    private static long version(String unit, Map<String, String> attributes) {
        String text = attribute(unit, attributes, "version");
        String[] parts = text.split(":", -1);
        try {
            if (parts.length == 2) {
                int major = Integer.parseInt(parts[0]);
                int minor = Integer.parseInt(parts[1]);
                if ((major & ~0xf) == 0 && (minor & ~0xf) == 0) {
                    return (long) (major << 4 | minor);
                }
            }
        } catch (NumberFormatException e) {
            throw badVersion(unit, text, e);
        }
        throw badVersion(unit, text, null);
    }

    private static IllegalArgumentException badVersion(
            String unit, String text, @Nullable NumberFormatException cause) {
        return new IllegalArgumentException(
                "unit " + unit + ": " + ATTRIBUTES + "version is '" + text + "', expected a form like 1:0", cause);
    }

    private static String attribute(String unit, Map<String, String> attributes, String attribute) {
        String text = attributes.get(ATTRIBUTES + attribute);
        if (text == null) {
            throw new IllegalArgumentException("unit " + unit + " lacks " + ATTRIBUTES + attribute);
        }
        return text.strip();
    }

    @Override
    public Optional<TableReader> reader(RegisterDump registers, Fabric memory) {
        Objects.requireNonNull(registers, "registers");
        Objects.requireNonNull(memory, "memory");
        OptionalLong version = registers.read64(VtdRegisters.VER.offset());
        // VER has two digits and zeros above them; other registers at a unit's first offset look different.
        if (version.isEmpty() || version.getAsLong() == 0 || version.getAsLong() >>> 8 != 0) {
            return Optional.empty();
        }
        long cap = word(registers, VtdRegisters.CAP);
        long ecap = word(registers, VtdRegisters.ECAP);
        long rootTable = word(registers, VtdRegisters.RTADDR);
        TranslationUnitSpec spec =
                unit("dmar", 0, registers.registerBase(), Map.of(VER, version.getAsLong(), CAP, cap, ECAP, ecap));
        VtdCapabilities capabilities = new VtdCapabilities(cap, ecap);
        require(
                spec,
                capabilities.mostLevels >= 3 && capabilities.mostLevels <= 5 && capabilities.addressWidth >= 32,
                "CAP 0x" + Long.toHexString(cap) + " is invalid: SAGAW 0x" + Integer.toHexString(capabilities.sagaw)
                        + " and MGAW " + capabilities.addressWidth
                        + ", expected tables of 3 to 5 levels and at least 32 bits");
        long mode = VtdRegisters.TTM.get(rootTable);
        require(
                spec,
                mode == 0 || (mode == 1 && capabilities.scalable),
                "RTADDR 0x" + Long.toHexString(rootTable) + " selects table mode " + mode
                        + ", expected 0, or 1 on a unit with scalable mode");
        // A/D flags set by the reader's own requests are discarded.
        TranslationUnit unit = create(spec, new ImageFabric(memory));
        unit.writeRegister64(VtdRegisters.RTADDR.offset(), rootTable);
        unit.writeRegister32(VtdRegisters.GCMD.offset(), (int) (VtdRegisters.SRTP.mask() | VtdRegisters.TE.mask()));
        unit.step();
        OptionalLong status = registers.read64(VtdRegisters.GCMD.offset());
        boolean on = status.isEmpty() || VtdRegisters.TES.isSet(status.getAsLong() >>> 32);
        return Optional.of(new VtdTableReader(unit, capabilities, MAX_ADDRESS_WIDTH, memory, rootTable, on));
    }

    private static long word(RegisterDump registers, Register register) {
        return registers
                .read64(register.offset())
                .orElseThrow(() -> new IllegalArgumentException("VT-d registers at 0x"
                        + Long.toHexString(registers.registerBase()) + " lack " + register.name() + " at offset 0x"
                        + Integer.toHexString(register.offset())));
    }

    /**
     * Builds a unit with any pair of CAP and ECAP.
     *
     * @throws IllegalArgumentException when VER, CAP or ECAP is missing, the register blocks overlap or leave the
     *     window, or the base is not aligned
     */
    @Override
    public TranslationUnit create(TranslationUnitSpec spec, Fabric fabric) {
        Objects.requireNonNull(spec, "spec");
        Objects.requireNonNull(fabric, "fabric");
        VtdCapabilities capabilities = new VtdCapabilities(spec.register(CAP), spec.register(ECAP));
        spec.register(VER);
        long hostAddressWidth = spec.registers().getOrDefault(HAW, (long) MAX_ADDRESS_WIDTH);
        require(spec, (spec.registerBase() & 0xfff) == 0, "its registers are not 4 KiB aligned");
        require(
                spec,
                spec.registerSize() >= capabilities.windowSize(),
                "its window has 0x" + Integer.toHexString(spec.registerSize()) + " bytes, CAP.FRO and ECAP.IRO need 0x"
                        + Integer.toHexString(capabilities.windowSize()));
        int faultEnd = capabilities.faultOffset + capabilities.faultCount * VtdRegisters.FRCD_SIZE;
        int iotlbEnd = capabilities.iotlbOffset + VtdRegisters.IOTLB_BLOCK;
        require(
                spec,
                Math.min(capabilities.faultOffset, capabilities.iotlbOffset) >= VtdRegisters.FIXED_END
                        && (capabilities.faultOffset >= iotlbEnd || capabilities.iotlbOffset >= faultEnd),
                "CAP.FRO 0x" + Integer.toHexString(capabilities.faultOffset) + " and ECAP.IRO 0x"
                        + Integer.toHexString(capabilities.iotlbOffset) + " put registers over others");
        require(
                spec,
                hostAddressWidth >= 32 && hostAddressWidth <= MAX_ADDRESS_WIDTH,
                "HAW is " + hostAddressWidth + ", expected 32 to 52");
        return new VtdUnit(spec, capabilities, (int) hostAddressWidth, fabric);
    }

    private static void require(TranslationUnitSpec spec, boolean condition, String problem) {
        if (!condition) {
            throw new IllegalArgumentException("unit " + spec.name() + ": " + problem);
        }
    }
}
