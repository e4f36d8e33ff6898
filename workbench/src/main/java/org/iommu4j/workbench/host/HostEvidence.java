// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.host;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import org.iommu4j.LinuxRelease;
import org.iommu4j.ReservedRegion;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.platform.PciAddress;
import org.iommu4j.platform.PciTopology;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.BootOptions;
import org.iommu4j.spi.RegisterValues;
import org.jspecify.annotations.Nullable;

/**
 * What is known of a host, from any mix of inputs.
 *
 * <p>Everything may be unknown and nothing is guessed. Each fact remembers the input that said it; where a second input
 * says otherwise, the first is believed and the contradiction is among the {@link #warnings}.
 */
public final class HostEvidence {
    private final String name;
    private final Set<String> inputs;
    private final SortedMap<String, Fact<byte[]>> tables;
    private final SortedMap<PciAddress, FunctionEvidence> functions;
    private final SortedMap<String, UnitEvidence> units;
    private final Map<String, Fact<Long>> registersOfAllUnits;
    private final SortedMap<Integer, GroupEvidence> groups;
    private final Map<Subject, Fact<Object>> facts;
    private final List<Fact<String>> kernelLines;
    private final List<String> warnings;
    private final boolean unsafeInterruptsAllowed;

    /** What is told once about a host. */
    private enum Subject {
        KERNEL_RELEASE("kernel release"),
        COMMAND_LINE("kernel command line"),
        INTERRUPT_REMAPPING("interrupt remapping"),
        IOMMU_IN_USE("IOMMU in use"),
        UNSAFE_INTERRUPTS("allow_unsafe_interrupts");

        private final String words;

        Subject(String words) {
            this.words = words;
        }
    }

    private HostEvidence(Builder builder) {
        this.name = builder.name;
        this.inputs = Collections.unmodifiableSet(new LinkedHashSet<>(builder.inputs));
        this.tables = new TreeMap<>(builder.tables);
        this.functions = Placement.of(builder.functions, builder::warn);
        this.units = Collections.unmodifiableSortedMap(builder.units());
        this.registersOfAllUnits = Map.copyOf(builder.registersOfAllUnits);
        this.groups = Collections.unmodifiableSortedMap(builder.groups());
        this.facts = Map.copyOf(builder.facts);
        this.kernelLines = List.copyOf(builder.kernelLines);
        this.warnings = List.copyOf(new LinkedHashSet<>(builder.warnings));
        // Asked for each device, and a command line is long.
        this.unsafeInterruptsAllowed = this.<Boolean>fact(Subject.UNSAFE_INTERRUPTS)
                .map(Fact::value)
                .orElseGet(() -> bootOptions().isSet("vfio_iommu_type1.allow_unsafe_interrupts"));
    }

    /** Starts to gather what is known of a host called by a name for people. */
    public static Builder builder(String name) {
        return new Builder(name);
    }

    /** Returns a name for people: the capture's file, or that of the first input. */
    public String name() {
        return name;
    }

    /** Returns the inputs that were read, in order. */
    public Set<String> inputs() {
        return inputs;
    }

    /** Returns the ACPI tables as far as they were given. */
    public FirmwareTables firmware() {
        return signature ->
                Optional.ofNullable(tables.get(signature)).map(Fact::value).map(byte[]::clone);
    }

    /** Returns the tables by signature. */
    public SortedMap<String, byte[]> tables() {
        SortedMap<String, byte[]> copies = new TreeMap<>();
        tables.forEach((signature, table) -> copies.put(signature, table.value().clone()));
        return copies;
    }

    /** Returns the signatures of the tables given, each with the input that it comes from. */
    public SortedMap<String, String> tableSources() {
        SortedMap<String, String> sources = new TreeMap<>();
        tables.forEach((signature, table) -> sources.put(signature, table.source()));
        return sources;
    }

    /** Returns all functions that some input names, sorted by address. */
    public List<FunctionEvidence> functions() {
        return List.copyOf(functions.values());
    }

    /** Finds a function by its address. */
    public Optional<FunctionEvidence> function(PciAddress address) {
        return Optional.ofNullable(functions.get(address));
    }

    /**
     * Returns the functions as a topology.
     *
     * <p>What is unknown of a function reads as absent; ask {@link #topologyKnown} before believing what follows from
     * absence.
     */
    public PciTopology topology() {
        return () -> List.copyOf(functions.values());
    }

    /**
     * Returns whether bridges, buses and isolation are known of every function, so that groups and scopes can be worked
     * out: each function's place is known, and its extended capabilities are.
     */
    public boolean topologyKnown() {
        return !functions.isEmpty()
                && functions.values().stream()
                        .allMatch(function ->
                                function.placed() && function.knowledge().extendedCapabilities());
    }

    /** Returns whether the bridge above every function is known, so that scopes of the firmware's tables resolve. */
    public boolean placesKnown() {
        return !functions.isEmpty() && functions.values().stream().allMatch(FunctionEvidence::placed);
    }

    /** Returns the units that the inputs name, by the names that Linux gave them. */
    public SortedMap<String, UnitEvidence> units() {
        return units;
    }

    /** Returns the units' register values as far as known; the features that a kernel log states for all units count for each. */
    public RegisterValues registers() {
        return (base, register) -> {
            for (UnitEvidence unit : units.values()) {
                Fact<Long> value = unit.registers().get(register);
                if (value != null
                        && unit.registerBase().isPresent()
                        && unit.registerBase().getAsLong() == base) {
                    return OptionalLong.of(value.value());
                }
            }
            Fact<Long> all = registersOfAllUnits.get(register);
            return all == null ? OptionalLong.empty() : OptionalLong.of(all.value());
        };
    }

    /** Returns the groups that the host's own Linux formed; empty when no input lists them. */
    public SortedMap<Integer, GroupEvidence> groups() {
        return groups;
    }

    /** Returns what {@code uname -r} says there, for example {@code 6.1.0-56-amd64}. */
    public Optional<Fact<String>> kernelRelease() {
        return fact(Subject.KERNEL_RELEASE);
    }

    /** Returns the release of Linux that runs there, known to us or not. */
    public Optional<LinuxRelease> linux() {
        return kernelRelease().map(Fact::value).flatMap(LinuxRelease::ofKernel);
    }

    /** Returns the kernel's command line. */
    public Optional<Fact<String>> commandLine() {
        return fact(Subject.COMMAND_LINE);
    }

    /** Returns the kernel's command line for the drivers; nothing is said when it is unknown. */
    public BootOptions bootOptions() {
        return commandLine().map(Fact::value).map(BootOptions::new).orElse(BootOptions.DEFAULT);
    }

    /** Returns whether Linux remaps interrupts there. */
    public Answer interruptRemapping() {
        return answer(Subject.INTERRUPT_REMAPPING);
    }

    /**
     * Returns whether VFIO assigns devices though interrupts are not remapped: as its module says where it is loaded, else as
     * the command line does.
     */
    public boolean unsafeInterruptsAllowed() {
        return unsafeInterruptsAllowed;
    }

    /** Returns whether Linux uses an IOMMU for DMA there. */
    public Answer iommuInUse() {
        return answer(Subject.IOMMU_IN_USE);
    }

    /** Returns the input that tells whether an IOMMU is in use. */
    public Optional<String> iommuInUseSource() {
        return this.<Boolean>fact(Subject.IOMMU_IN_USE).map(Fact::source);
    }

    /**
     * Returns the lines of kernel logs that bear on IOMMUs, without their time stamps, such as {@code DMAR: IOMMU feature
     * sc_support inconsistent}.
     */
    public List<Fact<String>> kernelLines() {
        return kernelLines;
    }

    /** Returns contradictions between inputs and what could not be read of them, one line each. */
    public List<String> warnings() {
        return warnings;
    }

    private Answer answer(Subject subject) {
        return this.<Boolean>fact(subject).map(Fact::value).map(Answer::of).orElse(Answer.UNKNOWN);
    }

    @SuppressWarnings("unchecked") // each subject is told through one method of the builder
    private <T> Optional<Fact<T>> fact(Subject subject) {
        return Optional.ofNullable((Fact<T>) (Fact<?>) facts.get(subject));
    }

    /** Gathers what inputs say; the first to say something is believed. Not thread-safe. */
    public static final class Builder {
        /** More functions than any machine has: an input that names more is refused. */
        static final int MAX_FUNCTIONS = 65_536;

        private static final int MAX_KERNEL_LINES = 1_000;
        private static final int MAX_WARNINGS = 200;

        private String name;
        private final Set<String> inputs = new LinkedHashSet<>();
        private final SortedMap<String, Fact<byte[]>> tables = new TreeMap<>();
        private final SortedMap<PciAddress, FunctionFacts> functions = new TreeMap<>();
        private final SortedMap<String, UnitFacts> units = new TreeMap<>();
        private final Map<String, Fact<Long>> registersOfAllUnits = new TreeMap<>();
        private final SortedMap<Integer, SortedMap<String, Fact<?>>> groupFacts = new TreeMap<>();
        private final Map<Subject, Fact<Object>> facts = new LinkedHashMap<>();
        private final List<Fact<String>> kernelLines = new ArrayList<>();
        private final List<String> warnings = new ArrayList<>();

        /** A unit's base and registers so far. */
        private static final class UnitFacts {
            private @Nullable Fact<Long> base;
            private boolean inSysfs;
            private Map<String, String> attributes = Map.of();
            private final SortedMap<String, Fact<Long>> registers = new TreeMap<>();
        }

        private Builder(String name) {
            this.name = name;
        }

        /** Gives it another name for people. */
        Builder named(String better) {
            name = better;
            return this;
        }

        /** Says that an input was read. */
        public Builder input(String source) {
            inputs.add(source);
            return this;
        }

        /** Tells an ACPI table; a second one of the same signature is ignored with a warning when it differs. */
        public Builder table(String signature, byte[] bytes, String source) {
            Fact<byte[]> earlier = tables.putIfAbsent(signature, new Fact<>(bytes.clone(), source));
            if (earlier != null && !Arrays.equals(earlier.value(), bytes)) {
                warn("table " + signature + " of " + source + " differs from that of " + earlier.source()
                        + ", which is used");
            }
            return this;
        }

        /**
         * Names a function; what else an input says about it goes to what is returned.
         *
         * @throws InputException when there are too many
         */
        FunctionFacts function(PciAddress address) {
            FunctionFacts known = functions.get(address);
            if (known == null) {
                if (functions.size() >= MAX_FUNCTIONS) {
                    throw new InputException(name + ": more than " + MAX_FUNCTIONS + " PCI functions");
                }
                known = new FunctionFacts(address, this);
                functions.put(address, known);
            }
            return known;
        }

        /** Tells a unit's register base. */
        public Builder unit(String unit, long registerBase, String source) {
            UnitFacts known = units.computeIfAbsent(unit, unused -> new UnitFacts());
            Fact<Long> earlier = known.base;
            if (earlier == null) {
                known.base = new Fact<>(registerBase, source);
            } else if (earlier.value() != registerBase) {
                contradiction(
                        "register base of " + unit, hex(earlier.value()), earlier.source(), hex(registerBase), source);
            }
            return this;
        }

        /** Names a unit of which no more is known. */
        public Builder unit(String unit) {
            units.computeIfAbsent(unit, unused -> new UnitFacts());
            return this;
        }

        /** Says that a unit is in {@code sys/class/iommu}, with the files below it as far as they could be read. */
        Builder unitInSysfs(String unit, Map<String, String> attributes) {
            UnitFacts known = units.computeIfAbsent(unit, unused -> new UnitFacts());
            known.inSysfs = true;
            known.attributes = attributes;
            return this;
        }

        /** Names functions and classes by a pci.ids file, where no input named them. */
        Builder names(byte[] pciIds, String source) {
            Set<Integer> vendors = new HashSet<>();
            functions.values().forEach(function -> function.vendorId().ifPresent(id -> vendors.add(id.value())));
            PciIds ids = PciIds.read(pciIds, vendors::contains);
            functions.values().forEach(function -> {
                if (function.vendorId().isPresent() && function.deviceId().isPresent()) {
                    ids.name(
                                    function.vendorId().get().value(),
                                    function.deviceId().get().value())
                            .ifPresent(name -> function.name(name, source));
                }
                function.classCode()
                        .flatMap(code -> ids.className(code.value()))
                        .ifPresent(name -> function.className(name, source));
            });
            return this;
        }

        /** Returns whether a table was told. */
        boolean hasTable(String signature) {
            return tables.containsKey(signature);
        }

        /** Tells a register's value. */
        public Builder register(String unit, String register, long value, String source) {
            keepRegister(
                    register + " of " + unit,
                    units.computeIfAbsent(unit, unused -> new UnitFacts()).registers,
                    register,
                    value,
                    source);
            return this;
        }

        /** Tells a register's value that an input states for all units at once. */
        public Builder registerOfAllUnits(String register, long value, String source) {
            keepRegister(register + " of all units", registersOfAllUnits, register, value, source);
            return this;
        }

        /** Says that there is a group. */
        public Builder group(int group) {
            groupFacts.computeIfAbsent(group, unused -> new TreeMap<>());
            return this;
        }

        /** Tells a group's default domain type. */
        public Builder groupType(int group, String type, String source) {
            keepGroup(group, "type", type, source);
            return this;
        }

        /** Tells a group's reserved regions. */
        public Builder groupReserved(int group, List<ReservedRegion> regions, String source) {
            keepGroup(group, "reserved regions", List.copyOf(regions), source);
            return this;
        }

        /** Tells the kernel's release. */
        public Builder kernelRelease(String release, String source) {
            return keep(Subject.KERNEL_RELEASE, release, source);
        }

        /** Tells the kernel's command line. */
        public Builder commandLine(String commandLine, String source) {
            return keep(Subject.COMMAND_LINE, commandLine, source);
        }

        /** Tells whether Linux remaps interrupts. */
        public Builder interruptRemapping(boolean on, String source) {
            return keep(Subject.INTERRUPT_REMAPPING, on, source);
        }

        /** Tells whether VFIO assigns devices though interrupts are not remapped. */
        public Builder unsafeInterrupts(boolean allowed, String source) {
            return keep(Subject.UNSAFE_INTERRUPTS, allowed, source);
        }

        /** Tells whether Linux uses an IOMMU for DMA. */
        public Builder iommuInUse(boolean inUse, String source) {
            return keep(Subject.IOMMU_IN_USE, inUse, source);
        }

        /** Keeps a line of a kernel log that bears on IOMMUs. */
        public Builder kernelLine(String line, String source) {
            if (kernelLines.size() < MAX_KERNEL_LINES) {
                kernelLines.add(new Fact<>(line, source));
            }
            return this;
        }

        /** Adds a warning of one line; from the 200th on they are dropped. */
        public Builder warn(String warning) {
            if (warnings.size() < MAX_WARNINGS) {
                warnings.add(warning);
            }
            return this;
        }

        /** Returns what is known so far. */
        public HostEvidence build() {
            // Linux forms groups only where it uses an IOMMU.
            functions.values().stream()
                    .flatMap(function -> function.group().stream())
                    .findFirst()
                    .ifPresent(group -> iommuInUse(true, group.source()));
            return new HostEvidence(this);
        }

        void contradiction(String what, String first, String firstSource, String second, String secondSource) {
            warn(what + " is " + first + " in " + firstSource + ", " + second + " in " + secondSource);
        }

        private void keepRegister(
                String what, Map<String, Fact<Long>> known, String register, long value, String source) {
            Fact<Long> earlier = known.putIfAbsent(register, new Fact<>(value, source));
            if (earlier != null && earlier.value() != value) {
                contradiction(what, hex(earlier.value()), earlier.source(), hex(value), source);
            }
        }

        private void keepGroup(int group, String what, Object value, String source) {
            Fact<?> earlier = groupFacts
                    .computeIfAbsent(group, unused -> new TreeMap<>())
                    .putIfAbsent(what, new Fact<>(value, source));
            if (earlier != null && !earlier.value().equals(value)) {
                contradiction(
                        what + " of group " + group,
                        earlier.value().toString(),
                        earlier.source(),
                        value.toString(),
                        source);
            }
        }

        private Builder keep(Subject subject, Object value, String source) {
            Fact<Object> earlier = facts.putIfAbsent(subject, new Fact<>(value, source));
            if (earlier != null && !earlier.value().equals(value)) {
                contradiction(subject.words, shown(earlier.value()), earlier.source(), shown(value), source);
            }
            return this;
        }

        private static String shown(Object value) {
            if (value instanceof Boolean on) {
                return on ? "on" : "off";
            }
            return "'" + value + "'";
        }

        private static String hex(long value) {
            return "0x" + Long.toHexString(value);
        }

        private SortedMap<String, UnitEvidence> units() {
            SortedMap<String, UnitEvidence> made = new TreeMap<>();
            units.forEach((unit, known) -> {
                Fact<Long> base = known.base;
                made.put(
                        unit,
                        new UnitEvidence(
                                unit,
                                base == null ? OptionalLong.empty() : OptionalLong.of(base.value()),
                                known.inSysfs,
                                known.attributes,
                                known.registers));
            });
            return made;
        }

        @SuppressWarnings("unchecked") // kept by groupType and groupReserved
        private SortedMap<Integer, GroupEvidence> groups() {
            SortedMap<Integer, SortedSet<PciAddress>> members = new TreeMap<>();
            groupFacts.keySet().forEach(group -> members.put(group, new TreeSet<>()));
            functions.forEach((address, function) -> function.group()
                    .ifPresent(group -> members.computeIfAbsent(group.value(), unused -> new TreeSet<>())
                            .add(address)));
            SortedMap<Integer, GroupEvidence> made = new TreeMap<>();
            members.forEach((group, of) -> {
                SortedMap<String, Fact<?>> known = groupFacts.getOrDefault(group, new TreeMap<>());
                made.put(
                        group,
                        new GroupEvidence(
                                group,
                                Collections.unmodifiableSortedSet(of),
                                Optional.ofNullable((Fact<String>) known.get("type")),
                                Optional.ofNullable((Fact<List<ReservedRegion>>) known.get("reserved regions"))));
            });
            return made;
        }
    }
}
