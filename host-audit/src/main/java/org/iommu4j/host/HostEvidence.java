// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import org.iommu4j.LinuxRelease;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciTopology;
import org.iommu4j.platform.DeviceTree;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.platform.support.FirmwareBytes;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.BootOptions;
import org.iommu4j.spi.LinuxStatements;
import org.iommu4j.spi.RegisterValues;

/**
 * The known facts about a host, from any mix of inputs.
 *
 * <p>Every fact may be unknown, and none is guessed. Each fact records the input that states it. Where inputs differ,
 * the one of the higher {@link Rank} takes precedence, and {@link #warnings} has a line. Where inputs of one rank
 * differ, the fact is unknown, and {@link #contradictions} has a line. The order of reading makes no difference.
 */
public final class HostEvidence {
    /** Base class and subclass of an IOMMU. */
    private static final int IOMMU_CLASS = 0x0806;

    private final String name;
    private final Set<String> inputs;
    private final SortedMap<String, Fact<byte[]>> tables;
    private final SortedMap<PciAddress, FunctionEvidence> functions;
    private final SortedMap<String, UnitEvidence> units;
    private final Map<String, Fact<Long>> registersOfAllUnits;
    private final SortedMap<Integer, GroupEvidence> groups;
    private final Facts facts;
    private final List<Fact<String>> kernelLines;
    private final EvidenceBuilder.BootOrder bootOrder;
    private final List<String> warnings;
    private final List<String> contradictions;
    private final boolean unsafeInterruptsAllowed;
    private final LinuxStatements stated;
    private final List<CountedRemark> remarks;

    HostEvidence(EvidenceBuilder builder, SortedMap<PciAddress, FunctionFacts> present) {
        this.name = builder.name();
        this.inputs = Collections.unmodifiableSet(new LinkedHashSet<>(builder.inputs()));
        this.tables = builder.tables();
        this.functions = Placement.of(present, builder::warn);
        this.units = Collections.unmodifiableSortedMap(builder.units());
        this.registersOfAllUnits = builder.registersOfAllUnits();
        this.groups = Collections.unmodifiableSortedMap(builder.groups(present.values()));
        this.facts = builder.host();
        this.bootOrder = builder.bootOrder();
        this.kernelLines = List.copyOf(builder.kernelLines());
        this.contradictions = builder.contradictions(present.values());
        Set<String> all = new LinkedHashSet<>(contradictions);
        all.addAll(builder.warnings());
        this.warnings = List.copyOf(all);
        this.stated = builder.stated(iommuFunctions(present));
        this.remarks = List.copyOf(builder.remarks());
        // Asked for each device, and a command line is long.
        this.unsafeInterruptsAllowed = facts.value(EvidenceBuilder.UNSAFE_INTERRUPTS)
                .orElseGet(() -> bootOptions().isSet("vfio_iommu_type1.allow_unsafe_interrupts"));
    }

    private static SortedMap<PciAddress, Integer> iommuFunctions(SortedMap<PciAddress, FunctionFacts> present) {
        SortedMap<PciAddress, Integer> found = new TreeMap<>();
        present.forEach((address, facts) -> {
            if (facts.classCode()
                    .map(Fact::value)
                    .filter(code -> code == IOMMU_CLASS)
                    .isPresent()) {
                found.put(address, facts.vendorId().map(Fact::value).orElseGet(() -> vendorByName(facts)));
            }
        });
        return found;
    }

    /** A listing without numbers has the vendor's name as pci.ids spells it. */
    private static int vendorByName(FunctionFacts facts) {
        return facts.name().map(Fact::value).map(PciIds::vendorOf).orElse(PciIds.UNKNOWN_VENDOR);
    }

    /** Starts to gather what is known of a host called by a name for people. */
    public static EvidenceBuilder builder(String name) {
        Objects.requireNonNull(name, "name");
        return new EvidenceBuilder(name);
    }

    /** Returns a name for people: the capture's file, or that of the first input. */
    public String name() {
        return name;
    }

    /** Returns the inputs that were read, in order. */
    public Set<String> inputs() {
        return inputs;
    }

    /** Returns the ACPI tables and the device tree as far as they were given. */
    public FirmwareTables firmware() {
        return new FirmwareBytes(
                tables(), Optional.ofNullable(tables.get(DeviceTree.NAME)).map(Fact::value));
    }

    /** Returns the ACPI tables by signature. */
    public SortedMap<String, byte[]> tables() {
        SortedMap<String, byte[]> copies = new TreeMap<>();
        tables.forEach((signature, table) -> copies.put(signature, table.value().clone()));
        copies.remove(DeviceTree.NAME);
        return copies;
    }

    /** Returns the signatures of the tables given, and the device tree, each with the input that it comes from. */
    public SortedMap<String, String> tableSources() {
        SortedMap<String, String> sources = new TreeMap<>();
        tables.forEach((signature, table) -> sources.put(signature, table.source()));
        return sources;
    }

    /** Returns all functions that some input names, sorted by address. */
    public List<FunctionEvidence> functions() {
        return List.copyOf(functions.values());
    }

    /** Returns the functions whose requests carry their own requester id: all but those below a VMD. */
    public List<FunctionEvidence> requesters() {
        return functions.values().stream()
                .filter(function -> function.address().hasOwnRequesterId())
                .toList();
    }

    /** Finds a function by its address. */
    public Optional<FunctionEvidence> function(PciAddress address) {
        return Optional.ofNullable(functions.get(address));
    }

    /**
     * Returns the functions as a topology, as the IOMMUs see it: without those below a VMD.
     *
     * <p>What is unknown of a function reads as absent; ask {@link #topologyKnown} before believing what follows from
     * absence.
     */
    public PciTopology topology() {
        return () -> List.copyOf(requesters());
    }

    /**
     * Returns whether bridges, buses and isolation are known of every function, so that groups and scopes can be worked
     * out: each function's place is known, and its extended capabilities are.
     */
    public boolean topologyKnown() {
        return !functions.isEmpty()
                && requesters().stream()
                        .allMatch(function ->
                                function.placed() && function.knowledge().extendedCapabilities());
    }

    /** Returns whether the bridge above every function is known, so that scopes of the firmware's tables resolve. */
    public boolean placesKnown() {
        return !functions.isEmpty() && requesters().stream().allMatch(FunctionEvidence::placed);
    }

    /** Returns the units that the inputs name, by the names that Linux gave them. */
    public SortedMap<String, UnitEvidence> units() {
        return units;
    }

    /**
     * Returns the units' register values as far as known, by base, or by name where an input does not state the base.
     * The features that a kernel log states for all units count for each.
     */
    public RegisterValues registers() {
        return (unit, base, register) -> {
            Fact<Long> named = null;
            for (UnitEvidence known : units.values()) {
                Fact<Long> value = known.registers().get(register);
                if (value != null && base.isPresent() && known.registerBase().equals(base)) {
                    return OptionalLong.of(value.value());
                }
                boolean baseUnknown = base.isEmpty() || known.registerBase().isEmpty();
                named = baseUnknown && known.name().equals(unit) ? value : named;
            }
            if (named != null) {
                return OptionalLong.of(named.value());
            }
            Fact<Long> all = registersOfAllUnits.get(register);
            return all == null ? OptionalLong.empty() : OptionalLong.of(all.value());
        };
    }

    /** Returns the register values that a kernel log states for all units at once, by the manual's mnemonic. */
    public Map<String, Fact<Long>> registersOfEveryUnit() {
        return Collections.unmodifiableMap(registersOfAllUnits);
    }

    /** Returns what the host's Linux states of its IOMMU beyond units and links. */
    public LinuxStatements stated() {
        return stated;
    }

    /** Returns the groups that the host's own Linux formed; empty when no input lists them. */
    public SortedMap<Integer, GroupEvidence> groups() {
        return groups;
    }

    /** Returns the output of {@code uname -r} there, for example {@code 6.1.0-56-amd64}. */
    public Optional<Fact<String>> kernelRelease() {
        return facts.find(EvidenceBuilder.KERNEL_RELEASE);
    }

    /**
     * Returns the release of Linux that runs there, known to us or not. Of a name with a build number, such as
     * {@code 6.1.0-56-amd64}, it is the stable kernel that the log names as its origin, where it does.
     */
    public Optional<LinuxRelease> linux() {
        Optional<LinuxRelease> named = kernelRelease().map(Fact::value).flatMap(LinuxRelease::ofKernel);
        Optional<LinuxRelease> built = facts.value(EvidenceBuilder.KERNEL_LEVEL).flatMap(LinuxRelease::ofKernel);
        return named.map(own -> built.filter(
                        origin -> own.patch() == 0 && own.base().equals(origin.base()))
                .orElse(own));
    }

    /** Returns the kernel's command line. */
    public Optional<Fact<String>> commandLine() {
        return facts.find(EvidenceBuilder.COMMAND_LINE);
    }

    /** Returns the kernel's command line for the drivers; it is empty when unknown. */
    public BootOptions bootOptions() {
        return commandLine().map(Fact::value).map(BootOptions::new).orElse(BootOptions.DEFAULT);
    }

    /** Returns the hypervisor under Linux that has the IOMMU, {@code Xen}; empty where Linux has it. */
    public Optional<Fact<String>> hypervisor() {
        return facts.find(EvidenceBuilder.HYPERVISOR);
    }

    /** Returns whether that hypervisor states that it blocks no-snoop for the whole machine. */
    public Answer hypervisorBlocksNoSnoop() {
        return answer(EvidenceBuilder.HYPERVISOR_BLOCKS);
    }

    /** Returns the extension of the host's processors, by their maker; empty where no input names it. */
    public Optional<Fact<HardwareVirtualization>> virtualization() {
        return facts.find(EvidenceBuilder.VIRTUALIZATION);
    }

    /** Returns whether Linux remaps interrupts there. */
    public Answer interruptRemapping() {
        return answer(EvidenceBuilder.INTERRUPT_REMAPPING);
    }

    /**
     * Returns whether VFIO assigns devices although interrupts are not remapped: by its module's parameter where it is
     * loaded, else by the command line.
     */
    public boolean unsafeInterruptsAllowed() {
        return unsafeInterruptsAllowed;
    }

    /** Returns whether Linux uses an IOMMU for DMA there. */
    public Answer iommuInUse() {
        return answer(EvidenceBuilder.IOMMU_IN_USE);
    }

    /** Returns the input that states whether an IOMMU is in use. */
    public Optional<String> iommuInUseSource() {
        return facts.find(EvidenceBuilder.IOMMU_IN_USE).map(Fact::source);
    }

    /**
     * Returns the lines of kernel logs that bear on IOMMUs, without their time stamps, such as
     * {@code DMAR: IOMMU feature sc_support inconsistent}.
     */
    public List<Fact<String>> kernelLines() {
        return kernelLines;
    }

    /**
     * Returns functions in the order in which they joined groups at boot while drivers registered their units; empty
     * when no log holds that, or logs differ.
     */
    public List<PciAddress> groupOrder() {
        return bootOrder.joined();
    }

    /** Returns functions in the order in which Linux found them at boot; empty when no log has that, or logs differ. */
    public List<PciAddress> scanOrder() {
        return bootOrder.found();
    }

    /** Returns what Linux, firmware or QEMU said that an operator must know, in the order of the logs. */
    public List<CountedRemark> remarks() {
        return remarks;
    }

    /** Returns whether firmware's tables are known and none is of an IOMMU. */
    public boolean firmwareWithoutIommu() {
        return facts.value(EvidenceBuilder.FIRMWARE_WITHOUT_IOMMU).orElse(false);
    }

    /** Returns contradictions between inputs and what could not be read of them, one line each. */
    public List<String> warnings() {
        return warnings;
    }

    /**
     * Returns the contradictions between inputs of one rank, one line each. Such inputs are of two hosts or of two
     * times, and the facts are unknown. All of these lines are among the {@link #warnings} as well.
     */
    public List<String> contradictions() {
        return contradictions;
    }

    private Answer answer(Key<Boolean> key) {
        return facts.value(key).map(Answer::of).orElse(Answer.UNKNOWN);
    }
}
