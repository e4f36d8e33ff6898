// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Supplier;
import java.util.zip.CRC32;
import org.iommu4j.ReservedRegion;
import org.iommu4j.device.DeviceId;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.DeviceTree;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.platform.MalformedTableException;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.KernelRemark;
import org.iommu4j.spi.LinuxStatements;
import org.jspecify.annotations.Nullable;

/** Gathers the facts of all inputs about a host; the {@link Rank} of each input decides. Not thread-safe. */
public final class EvidenceBuilder {
    /** More functions than any machine has: an input that names more is refused. */
    static final int MAX_FUNCTIONS = 65_536;

    static final Key<String> KERNEL_RELEASE = Key.of("kernel release", String.class, EvidenceBuilder::quoted);
    static final Key<String> KERNEL_LEVEL = Key.of("stable kernel", String.class, EvidenceBuilder::quoted);
    static final Key<String> COMMAND_LINE = Key.of("kernel command line", String.class, EvidenceBuilder::quoted);
    static final Key<Boolean> INTERRUPT_REMAPPING =
            Key.of("interrupt remapping", Boolean.class, EvidenceBuilder::onOff);
    static final Key<HardwareVirtualization> VIRTUALIZATION = Key.loose("virtualization", HardwareVirtualization.class);
    static final Key<Boolean> IOMMU_IN_USE = Key.of("IOMMU in use", Boolean.class, EvidenceBuilder::onOff);
    static final Key<String> HYPERVISOR = Key.of("hypervisor", String.class, EvidenceBuilder::quoted);
    static final Key<Boolean> FIRMWARE_WITHOUT_IOMMU =
            Key.of("no IOMMU in firmware's tables", Boolean.class, EvidenceBuilder::onOff);
    static final Key<Boolean> HYPERVISOR_BLOCKS =
            Key.of("the hypervisor's snoop control", Boolean.class, EvidenceBuilder::onOff);
    static final Key<Boolean> UNSAFE_INTERRUPTS =
            Key.of("allow_unsafe_interrupts", Boolean.class, EvidenceBuilder::onOff);

    private static final Key<Long> REGISTER_BASE = Key.ofHex("register base");
    private static final Key<Boolean> INCLUDE_ALL = Key.of("INCLUDE_PCI_ALL", Boolean.class, EvidenceBuilder::onOff);
    private static final Key<String> GROUP_TYPE = Key.of("type", String.class, EvidenceBuilder::quoted);
    private static final Key<Regions> GROUP_RESERVED = Key.of("reserved regions", Regions.class, Regions::toString);

    private static final int MAX_KERNEL_LINES = 1_000;
    private static final int MAX_WARNINGS = 200;

    private String name;
    private final Set<String> inputs = new LinkedHashSet<>();
    private final Facts host = new Facts(words -> words, this::warn);
    private final Facts tables = new Facts(signature -> "table " + signature, this::warn);
    private final SortedMap<PciAddress, FunctionFacts> functions = new TreeMap<>();
    private final Listings listings = new Listings();
    private final SortedMap<String, UnitFacts> units = new TreeMap<>();
    private final Map<String, SortedSet<PciAddress>> drivers = new TreeMap<>();
    private final List<CountedRemark> remarks = new ArrayList<>();
    private final Map<Integer, SortedSet<String>> namedMembers = new TreeMap<>();
    private final Map<DeviceId, List<ReservedRegion>> identityMaps = new LinkedHashMap<>();
    private boolean regionsRelaxed;
    private final Facts allUnits = new Facts(register -> register + " of all units", this::warn);
    private final SortedMap<Integer, Facts> groups = new TreeMap<>();
    private final List<Fact<String>> kernelLines = new ArrayList<>();
    private @Nullable BootOrder bootOrder;
    private final List<String> warnings = new ArrayList<>();

    /** The facts about a unit. */
    private final class UnitFacts {
        private final Facts facts;
        private final Facts registers;
        private boolean inSysfs;
        private Map<String, String> attributes = Map.of();

        private UnitFacts(String unit) {
            facts = new Facts(words -> words + " of " + unit, EvidenceBuilder.this::warn);
            registers = new Facts(register -> register + " of " + unit, EvidenceBuilder.this::warn);
        }
    }

    /**
     * The order in which Linux met functions at boot.
     *
     * @param joined in which they joined groups while drivers registered their units
     * @param found in which they were found
     */
    record BootOrder(List<PciAddress> joined, List<PciAddress> found) {
        private static final BootOrder UNKNOWN = new BootOrder(List.of(), List.of());
    }

    /** What Linux lists under {@code reserved_regions}. */
    private record Regions(List<ReservedRegion> list) {}

    EvidenceBuilder(String name) {
        this.name = name;
    }

    private static String quoted(String value) {
        return "'" + value + "'";
    }

    private static String onOff(boolean on) {
        return on ? "on" : "off";
    }

    /** Gives it another name for people. */
    EvidenceBuilder named(String better) {
        name = better;
        return this;
    }

    /** Records that an input was read. */
    EvidenceBuilder input(String source) {
        inputs.add(source);
        return this;
    }

    /** Records an ACPI table. */
    EvidenceBuilder table(String signature, byte[] bytes, Source source) {
        tables.record(table(signature), ByteBuffer.wrap(bytes.clone()), source);
        return this;
    }

    /** Records the flattened device tree; of one that can't be read, a warning. */
    EvidenceBuilder deviceTree(byte[] bytes, Source source) {
        try {
            DeviceTree.parse(bytes);
        } catch (MalformedTableException e) {
            return warn(source + ": " + e.getMessage());
        }
        return table(DeviceTree.NAME, bytes, source);
    }

    private static Key<ByteBuffer> table(String signature) {
        return Key.of(signature, ByteBuffer.class, EvidenceBuilder::summary);
    }

    private static String summary(ByteBuffer table) {
        CRC32 crc = new CRC32();
        crc.update(table.duplicate());
        return String.format("%d bytes with CRC-32 %08x", table.capacity(), crc.getValue());
    }

    /** Returns whether a table was recorded. */
    boolean hasTable(String signature) {
        return tables.source(table(signature)).isPresent();
    }

    /**
     * Names a function; the returned object records its other facts.
     *
     * @throws InputException when there are too many
     */
    FunctionFacts function(PciAddress address) {
        FunctionFacts known = functions.get(address);
        if (known == null) {
            if (functions.size() >= MAX_FUNCTIONS) {
                throw new InputException(name + ": more than " + MAX_FUNCTIONS + " PCI functions");
            }
            known = new FunctionFacts(address, this::warn);
            functions.put(address, known);
        }
        return known;
    }

    /** Records which functions an input lists as being there. */
    EvidenceBuilder listing(Listings.Kind kind, Collection<PciAddress> listed, Source source) {
        listings.add(kind, listed, source);
        return this;
    }

    private UnitFacts unitFacts(String unit) {
        return units.computeIfAbsent(unit, UnitFacts::new);
    }

    /** Records that a vendor's driver has units there, and which functions it calls units. */
    EvidenceBuilder driver(String vendor, Collection<PciAddress> unitFunctions) {
        drivers.computeIfAbsent(vendor, unused -> new TreeSet<>()).addAll(unitFunctions);
        return this;
    }

    /** Records a remark; the function that Linux or QEMU was asked to give away is there. */
    EvidenceBuilder remark(CountedRemark found, Source source) {
        KernelRemark remark = found.remark();
        if (remarks.size() < MAX_WARNINGS) {
            remarks.add(new CountedRemark(remark, found.count(), found.time(), source.name()));
        }
        switch (remark.kind()) {
            case REFUSED, NOT_VIABLE, NO_GROUP, PROBE_FAILED -> remark.device().ifPresent(this::function);
            default -> {
                // A fault may be of a requester id that no function has.
            }
        }
        return this;
    }

    /** Records the memory that Linux maps one to one for a device. */
    EvidenceBuilder identityMap(PciAddress device, List<ReservedRegion> regions) {
        identityMaps.computeIfAbsent(device, unused -> new ArrayList<>()).addAll(regions);
        return this;
    }

    /** Records that such memory keeps no device from user space. */
    EvidenceBuilder regionsRelaxed() {
        regionsRelaxed = true;
        return this;
    }

    /** Records that firmware's tables are known and none is of an IOMMU, so that none can be in use. */
    EvidenceBuilder firmwareWithoutIommu(Source source) {
        host.record(FIRMWARE_WITHOUT_IOMMU, true, source);
        return iommuInUse(false, source);
    }

    /** Records a unit's register base. */
    EvidenceBuilder unit(String unit, long registerBase, Source source) {
        unitFacts(unit).facts.record(REGISTER_BASE, registerBase, source);
        return this;
    }

    /** Records whether a unit has every function of its segment that no other unit names. */
    EvidenceBuilder unitIncludesAll(String unit, boolean includeAll, Source source) {
        unitFacts(unit).facts.record(INCLUDE_ALL, includeAll, source);
        return this;
    }

    /** Names a unit of which no more is known. */
    EvidenceBuilder unit(String unit) {
        unitFacts(unit);
        return this;
    }

    /** Records that a unit is in {@code sys/class/iommu}, with the files below it as far as they could be read. */
    EvidenceBuilder unitInSysfs(String unit, Map<String, String> attributes) {
        UnitFacts known = unitFacts(unit);
        known.inSysfs = true;
        known.attributes = attributes;
        return this;
    }

    /** Names functions and classes by a pci.ids file, where no input named them. */
    EvidenceBuilder names(byte[] pciIds, Source source) {
        Set<Integer> vendors = new HashSet<>();
        functions.values().forEach(function -> function.vendorId().ifPresent(id -> vendors.add(id.value())));
        PciIds ids = PciIds.read(pciIds, vendors::contains);
        functions.values().forEach(function -> {
            if (function.vendorId().isPresent() && function.deviceId().isPresent()) {
                ids.name(
                                function.vendorId().get().value(),
                                function.deviceId().get().value())
                        .ifPresent(found -> function.name(found, source));
            }
            function.classCode()
                    .flatMap(code -> ids.className(code.value()))
                    .ifPresent(found -> function.className(found, source));
        });
        return this;
    }

    /** Records a register's value. */
    EvidenceBuilder register(String unit, String register, long value, Source source) {
        unitFacts(unit).registers.record(Key.ofHex(register), value, source);
        return this;
    }

    /** Records a register's value that an input states for all units at once. */
    EvidenceBuilder registerOfAllUnits(String register, long value, Source source) {
        allUnits.record(Key.ofHex(register), value, source);
        return this;
    }

    /** Records that there is a group. */
    EvidenceBuilder group(int group) {
        groupFacts(group);
        return this;
    }

    private Facts groupFacts(int group) {
        return groups.computeIfAbsent(group, id -> new Facts(words -> words + " of group " + id, this::warn));
    }

    /** Records that a device that is not on PCI is in a group. */
    EvidenceBuilder groupMember(int group, String device) {
        group(group);
        namedMembers.computeIfAbsent(group, unused -> new TreeSet<>()).add(device);
        return this;
    }

    /** Records a group's default domain type. */
    EvidenceBuilder groupType(int group, String type, Source source) {
        groupFacts(group).record(GROUP_TYPE, type, source);
        return this;
    }

    /** Records a group's reserved regions. */
    EvidenceBuilder groupReserved(int group, List<ReservedRegion> regions, Source source) {
        groupFacts(group).record(GROUP_RESERVED, new Regions(List.copyOf(regions)), source);
        return this;
    }

    /** Records the kernel's release. */
    EvidenceBuilder kernelRelease(String release, Source source) {
        host.record(KERNEL_RELEASE, release, source);
        return this;
    }

    /** Records the stable kernel that the kernel was built from. */
    EvidenceBuilder kernelLevel(String stable, Source source) {
        host.record(KERNEL_LEVEL, stable, source);
        return this;
    }

    /** Records the kernel's command line. */
    EvidenceBuilder commandLine(String commandLine, Source source) {
        host.record(COMMAND_LINE, commandLine, source);
        return this;
    }

    /** Records the extension of the host's processors. */
    EvidenceBuilder virtualization(HardwareVirtualization extension, Source source) {
        host.record(VIRTUALIZATION, extension, source);
        return this;
    }

    /** Records whether Linux remaps interrupts. */
    EvidenceBuilder interruptRemapping(boolean on, Source source) {
        host.record(INTERRUPT_REMAPPING, on, source);
        return this;
    }

    /** Records whether VFIO assigns devices though interrupts are not remapped. */
    EvidenceBuilder unsafeInterrupts(boolean allowed, Source source) {
        host.record(UNSAFE_INTERRUPTS, allowed, source);
        return this;
    }

    /** Records whether Linux uses an IOMMU for DMA. */
    EvidenceBuilder iommuInUse(boolean inUse, Source source) {
        host.record(IOMMU_IN_USE, inUse, source);
        return this;
    }

    /** Records that a hypervisor other than Linux's own has the IOMMU. */
    EvidenceBuilder hypervisor(String its, Source source) {
        host.record(HYPERVISOR, its, source);
        return this;
    }

    /** Records whether that hypervisor states that it blocks no-snoop. */
    EvidenceBuilder hypervisorBlocksNoSnoop(boolean blocks, Source source) {
        host.record(HYPERVISOR_BLOCKS, blocks, source);
        return this;
    }

    /**
     * Records the orders in which a log's boot has functions join groups, and has them found. They are believed only
     * while no other log has others.
     */
    EvidenceBuilder bootOrder(List<PciAddress> joined, List<PciAddress> found) {
        BootOrder order = new BootOrder(List.copyOf(joined), List.copyOf(found));
        bootOrder = bootOrder == null || bootOrder.equals(order) ? order : BootOrder.UNKNOWN;
        return this;
    }

    /** Keeps a line of a kernel log that bears on IOMMUs. */
    EvidenceBuilder kernelLine(String line, Source source) {
        if (kernelLines.size() < MAX_KERNEL_LINES) {
            kernelLines.add(new Fact<>(line, source.name()));
        }
        return this;
    }

    /** Adds a warning of one line; from the 200th on they are dropped. */
    EvidenceBuilder warn(String warning) {
        warn(() -> warning);
        return this;
    }

    private void warn(Supplier<String> warning) {
        if (warnings.size() < MAX_WARNINGS) {
            warnings.add(warning.get());
        }
    }

    /** Returns what is known so far. */
    public HostEvidence build() {
        SortedMap<PciAddress, FunctionFacts> present = new TreeMap<>(functions);
        present.keySet().removeIf(function -> listings.isAbsent(function, this::warn));
        releaseOfCommandLine();
        // Linux forms groups only where it uses an IOMMU.
        present.values().stream()
                .flatMap(function -> function.inGroupBy().stream())
                .min((one, other) -> one.rank().compareTo(other.rank()))
                .ifPresent(source -> iommuInUse(true, source));
        return new HostEvidence(this, present);
    }

    /** Where no input names the release, the boot loader did when it named the kernel's image. */
    private void releaseOfCommandLine() {
        if (host.source(KERNEL_RELEASE).isEmpty()) {
            host.source(COMMAND_LINE)
                    .ifPresent(source -> host.value(COMMAND_LINE)
                            .flatMap(KernelNames::ofCommandLine)
                            .ifPresent(release -> kernelRelease(release, source)));
        }
    }

    BootOrder bootOrder() {
        return bootOrder == null ? BootOrder.UNKNOWN : bootOrder;
    }

    String name() {
        return name;
    }

    Set<String> inputs() {
        return inputs;
    }

    Facts host() {
        return host;
    }

    List<CountedRemark> remarks() {
        return remarks;
    }

    LinuxStatements stated(SortedMap<PciAddress, Integer> iommuFunctions) {
        return new LinuxStatements(drivers, iommuFunctions, identityMaps, regionsRelaxed);
    }

    List<Fact<String>> kernelLines() {
        return kernelLines;
    }

    List<String> warnings() {
        return warnings;
    }

    SortedMap<String, Fact<byte[]>> tables() {
        SortedMap<String, Fact<byte[]>> known = new TreeMap<>();
        tables.all(ByteBuffer.class).forEach((signature, table) -> {
            byte[] bytes = new byte[table.value().capacity()];
            table.value().duplicate().get(bytes);
            known.put(signature, new Fact<>(bytes, table.source()));
        });
        return known;
    }

    SortedMap<String, UnitEvidence> units() {
        SortedMap<String, UnitEvidence> made = new TreeMap<>();
        units.forEach((unit, known) -> made.put(
                unit,
                new UnitEvidence(
                        unit,
                        known.facts.value(REGISTER_BASE).map(OptionalLong::of).orElse(OptionalLong.empty()),
                        known.inSysfs,
                        known.facts.value(INCLUDE_ALL).map(Answer::of).orElse(Answer.UNKNOWN),
                        known.attributes,
                        known.registers.all(Long.class))));
        return made;
    }

    /** Where inputs contradict each other about one unit, a statement about all units does not decide. */
    Map<String, Fact<Long>> registersOfAllUnits() {
        Map<String, Fact<Long>> known = allUnits.all(Long.class);
        units.values().forEach(unit -> unit.registers.contradictions(found -> known.remove(found.key())));
        return known;
    }

    /** A group in which a function may be or not is not known, and is left out. */
    SortedMap<Integer, GroupEvidence> groups(Collection<FunctionFacts> present) {
        SortedMap<Integer, SortedSet<PciAddress>> members = new TreeMap<>();
        groups.keySet().forEach(group -> members.put(group, new TreeSet<>()));
        present.forEach(function -> function.group()
                .ifPresent(group -> members.computeIfAbsent(group.value(), unused -> new TreeSet<>())
                        .add(function.address())));
        present.forEach(function -> members.keySet().removeAll(function.groupsInQuestion()));
        SortedMap<Integer, GroupEvidence> made = new TreeMap<>();
        members.forEach((group, of) -> {
            Facts known = groupFacts(group);
            made.put(
                    group,
                    new GroupEvidence(
                            group,
                            Collections.unmodifiableSortedSet(of),
                            Collections.unmodifiableSortedSet(namedMembers.getOrDefault(group, new TreeSet<>())),
                            known.find(GROUP_TYPE),
                            known.find(GROUP_RESERVED)
                                    .map(regions -> new Fact<>(regions.value().list(), regions.source()))));
        });
        return made;
    }

    List<String> contradictions(Collection<FunctionFacts> present) {
        Set<String> lines = new LinkedHashSet<>();
        List<Facts> all = new ArrayList<>(List.of(host, tables, allUnits));
        units.values().forEach(unit -> all.addAll(List.of(unit.facts, unit.registers)));
        all.addAll(groups.values());
        all.forEach(facts -> facts.contradictions(found -> keep(lines, found.line())));
        present.forEach(function -> {
            function.contradictions(line -> keep(lines, line));
            listings.contradiction(function.address()).ifPresent(line -> keep(lines, line));
        });
        return List.copyOf(lines);
    }

    private static void keep(Set<String> lines, String line) {
        if (lines.size() < MAX_WARNINGS) {
            lines.add(line);
        }
    }
}
