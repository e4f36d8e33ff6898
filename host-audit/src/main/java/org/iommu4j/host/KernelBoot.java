// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import org.iommu4j.Prot;
import org.iommu4j.ReservedRegion;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.spi.KernelLog;
import org.iommu4j.spi.KernelRemark;
import org.jspecify.annotations.Nullable;

/** Gathers the facts in the log of one boot. */
final class KernelBoot implements KernelLog.Findings {
    private static final int MAX_KEPT = 1_000;
    private static final int MAX_REMARKS = 200;

    private final @Nullable String release;
    private @Nullable String running;
    private @Nullable String level;
    private @Nullable String commandLine;
    private @Nullable String speaker;
    private final Map<String, Unit> units = new TreeMap<>();
    private final Map<String, SortedSet<PciAddress>> drivers = new TreeMap<>();
    private final Map<String, Long> everyUnit = new TreeMap<>();
    private final Map<PciAddress, Integer> groups = new TreeMap<>();
    private final Map<String, Integer> namedGroups = new TreeMap<>();
    private final Map<PciAddress, int[]> functions = new LinkedHashMap<>();
    private final Map<PciAddress, int[]> bridges = new LinkedHashMap<>();
    private final List<String> lines = new ArrayList<>();
    private final Set<String> cut = new LinkedHashSet<>();
    private @Nullable Boolean remapping;
    private @Nullable HardwareVirtualization virtualization;
    private final Set<PciAddress> joined = new HashSet<>();
    private final Map<String, CountedRemark> remarks = new LinkedHashMap<>();
    private final Map<PciAddress, List<ReservedRegion>> identityMaps = new LinkedHashMap<>();
    private boolean regionsRelaxed;
    private boolean listsTables;
    private boolean listsIommuTable;
    private String time = "";
    private boolean onXen;
    private @Nullable Boolean xenBlocksNoSnoop;
    private final Set<PciAddress> order = new LinkedHashSet<>();
    private final Map<Long, Boolean> includeAll = new TreeMap<>();
    private boolean orderDisturbed;
    private boolean inUse;
    private boolean disabled;
    private boolean done;
    private boolean toldAnything;

    private record Unit(OptionalLong registerBase, Map<String, Long> registers) {}

    /**
     * Begins a boot.
     *
     * @param release what the first line names, null for a log whose beginning is missing
     */
    KernelBoot(@Nullable String release) {
        this.release = release;
    }

    @Override
    public void unit(String name, OptionalLong registerBase, Map<String, Long> registers) {
        units.put(name, new Unit(registerBase, Map.copyOf(registers)));
        toldAnything = true;
    }

    /** Begins the boot that comes next in a log; Xen's own boot comes before that of its Linux. */
    KernelBoot next(String itsRelease) {
        KernelBoot next = new KernelBoot(itsRelease);
        if (release == null) {
            next.onXen = onXen;
            next.xenBlocksNoSnoop = xenBlocksNoSnoop;
        }
        return next;
    }

    /**
     * Records that Xen runs there.
     *
     * @param blocksNoSnoop whether it states that it blocks no-snoop, null where it does not say
     */
    void onXen(@Nullable Boolean blocksNoSnoop) {
        onXen = true;
        xenBlocksNoSnoop = blocksNoSnoop == null ? xenBlocksNoSnoop : blocksNoSnoop;
    }

    /** Names the vendor whose driver's line is read next. */
    void speaks(String vendor) {
        speaker = vendor;
    }

    @Override
    public void present() {
        ofSpeaker();
    }

    @Override
    public void unitFunction(PciAddress function) {
        SortedSet<PciAddress> known = ofSpeaker();
        if (known.size() < MAX_KEPT) {
            known.add(function);
        }
    }

    /** Records when the line that is read next was printed, empty where it has no stamp. */
    void at(String stamp) {
        time = stamp;
    }

    @Override
    public void remark(KernelRemark remark) {
        String key = remark.kind() + " " + remark.device() + " " + remark.meaning()
                + (remark.kind() == KernelRemark.Kind.FAULT ? "" : " " + remark.text());
        CountedRemark known = remarks.get(key);
        if (known != null) {
            remarks.put(key, known.more(1));
        } else if (remarks.size() < MAX_REMARKS) {
            remarks.put(key, new CountedRemark(remark, 1, time, ""));
        }
    }

    @Override
    public void identityMap(PciAddress device, long start, long end) {
        if (start >= 0 && start <= end && fits(identityMaps, device)) {
            List<ReservedRegion> known = identityMaps.computeIfAbsent(device, unused -> new ArrayList<>());
            if (known.size() < MAX_REMARKS) {
                known.add(new ReservedRegion(start, end, ReservedRegion.Type.DIRECT, Prot.READ | Prot.WRITE));
            }
        }
    }

    @Override
    public void regionsRelaxed() {
        regionsRelaxed = true;
    }

    /** Records the extension of the first processor. */
    void virtualization(HardwareVirtualization extension) {
        virtualization = extension;
    }

    /** Records that the log lists a table of the firmware. */
    void table(boolean ofIommu) {
        listsTables = true;
        listsIommuTable |= ofIommu;
    }

    private SortedSet<PciAddress> ofSpeaker() {
        return drivers.computeIfAbsent(speaker == null ? "" : speaker, unused -> new TreeSet<>());
    }

    @Override
    public void everyUnit(Map<String, Long> registers) {
        everyUnit.putAll(registers);
        toldAnything = true;
    }

    @Override
    public void includeAll(long registerBase, boolean yes) {
        if (includeAll.size() < MAX_KEPT) {
            includeAll.put(registerBase, yes);
        }
    }

    @Override
    public void interruptRemapping(boolean on) {
        remapping = on || (remapping != null && remapping);
    }

    @Override
    public void inUse(boolean yes) {
        inUse |= yes;
        disabled |= !yes;
    }

    @Override
    public void done() {
        done = true;
    }

    /** Returns whether the log states anything about units; other lines of a vendor may state less. */
    boolean toldOfUnits() {
        return toldAnything;
    }

    /** Records the release that a message of the running kernel names. */
    void running(String name) {
        running = name;
    }

    /** Records the stable kernel that the release was built from. */
    void level(String stable) {
        level = stable;
    }

    /** Returns whether a line was one that an operator must know. */
    boolean hasRemarks() {
        return !remarks.isEmpty() || !identityMaps.isEmpty() || regionsRelaxed;
    }

    void commandLine(String text) {
        commandLine = text;
    }

    void joins(PciAddress address, int group) {
        if (fits(groups, address)) {
            groups.put(address, group);
        }
        if (joined.size() < EvidenceBuilder.MAX_FUNCTIONS) {
            joined.add(address);
            if (!inUse) {
                orderDisturbed |= !order.add(address);
            }
        }
    }

    /** Records the group of a device that is not on PCI. */
    void joins(String device, int group) {
        if (namedGroups.size() < EvidenceBuilder.MAX_FUNCTIONS) {
            namedGroups.put(TextLines.printable(device), group);
        }
    }

    /** Records that the last group of a function was made by VFIO, where no IOMMU translates. */
    void joinedWithoutIommu(PciAddress address) {
        groups.remove(address);
        joined.remove(address);
    }

    void leaves(PciAddress address) {
        orderDisturbed |= !inUse;
        groups.remove(address);
    }

    /** Records a function: vendor, device, header type and class with programming interface. */
    void function(PciAddress address, int... values) {
        if (fits(functions, address)) {
            functions.put(address, values);
        }
    }

    /** Records the first and the last bus below a bridge. */
    void bridge(PciAddress address, int first, int last) {
        if (fits(bridges, address)) {
            bridges.put(address, new int[] {first, last});
        }
    }

    /** Records a line that lacks its end, as where only a part of a log was copied. */
    void cut(String line) {
        if (cut.size() < MAX_REMARKS) {
            cut.add(line);
        }
    }

    void keep(String line) {
        if (lines.size() < MAX_KEPT) {
            lines.add(line);
        }
    }

    boolean keepsMore() {
        return lines.size() < MAX_KEPT;
    }

    private static boolean fits(Map<PciAddress, ?> known, PciAddress address) {
        return known.size() < EvidenceBuilder.MAX_FUNCTIONS || known.containsKey(address);
    }

    /** Records all facts of the boot. */
    void record(Source source, EvidenceBuilder host) {
        String named = release != null ? release : running;
        if (named != null) {
            host.kernelRelease(named, source);
        }
        if (release != null && level != null) {
            host.kernelLevel(level, source);
        }
        if (commandLine != null) {
            host.commandLine(commandLine, source);
        }
        units.forEach((name, unit) -> {
            host.unit(name);
            unit.registerBase().ifPresent(base -> {
                host.unit(name, base, source);
                Boolean all = includeAll.get(base);
                if (all != null) {
                    host.unitIncludesAll(name, all, source);
                }
            });
            unit.registers().forEach((register, value) -> host.register(name, register, value, source));
        });
        if (virtualization != null) {
            host.virtualization(virtualization, source);
        }
        drivers.forEach(host::driver);
        remarks.values().forEach(found -> host.remark(found, source));
        identityMaps.forEach(host::identityMap);
        if (regionsRelaxed) {
            host.regionsRelaxed();
        }
        everyUnit.forEach((register, value) -> host.registerOfAllUnits(register, value, source));
        groups.forEach((address, group) -> host.function(address).group(group, source));
        recordFunctions(source, host);
        if (onXen) {
            host.hypervisor(Xen.NAME, source);
            if (xenBlocksNoSnoop != null) {
                host.hypervisorBlocksNoSnoop(xenBlocksNoSnoop, source);
            }
        }
        // Before the driver says that it is done, only its registrations have functions join.
        if (inUse && !orderDisturbed && !order.isEmpty()) {
            host.bootOrder(List.copyOf(order), List.copyOf(functions.keySet()));
        }
        // Under Xen Linux sees no IOMMU, and its silence states nothing.
        boolean whole = release != null && done && !onXen;
        if (remapping != null || whole) {
            host.interruptRemapping(remapping != null && remapping, source);
        }
        if (whole && listsTables && !listsIommuTable) {
            host.firmwareWithoutIommu(source);
        }
        namedGroups.forEach((device, group) -> host.groupMember(group, device));
        boolean used = inUse || !joined.isEmpty() || !namedGroups.isEmpty();
        if (used || disabled || whole) {
            host.iommuInUse(used, source);
        }
        lines.forEach(line -> host.kernelLine(line, source));
        cut.forEach(line -> host.warn("not read: a line of " + source.name() + " that lacks its end: " + line));
    }

    private void recordFunctions(Source source, EvidenceBuilder host) {
        functions.forEach((address, values) -> {
            int code = values[3] >> 8;
            host.function(address)
                    .vendorId(values[0], source)
                    .deviceId(values[1], source)
                    .classCode(code, source);
            int[] buses = bridges.get(address);
            if (values[2] != 0 && buses == null) {
                return; // a bridge, but its buses are unknown
            }
            byte[] header = new byte[KnownConfig.HEADER_BYTES];
            put16(header, 0x00, values[0]);
            put16(header, 0x02, values[1]);
            put16(header, 0x0a, code);
            header[0x0e] = (byte) (values[2] & 0x7f);
            if (buses != null) {
                header[0x18] = (byte) address.bus();
                header[0x19] = (byte) buses[0];
                header[0x1a] = (byte) buses[1];
            }
            host.function(address).reconstructed(header, ConfigKnowledge.HEADER, source);
        });
    }

    private static void put16(byte[] bytes, int at, int value) {
        bytes[at] = (byte) value;
        bytes[at + 1] = (byte) (value >> 8);
    }
}
