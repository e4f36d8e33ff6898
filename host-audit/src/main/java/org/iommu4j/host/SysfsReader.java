// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.iommu4j.ReservedRegion;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.spi.ShownUnit;

/**
 * Reads a Linux {@code sys/} tree with what lies beside it: {@code proc/}, the kernel log, {@code pci.ids}.
 *
 * <p>Source: {@code Documentation/ABI/testing/sysfs-bus-pci}, {@code sysfs-class-iommu}, {@code
 * sysfs-kernel-iommu_groups}.
 */
final class SysfsReader {
    /** Functions. */
    static final String DEVICES = "sys/bus/pci/devices";
    /** Units. */
    static final String UNITS = "sys/class/iommu";
    /** Groups. */
    static final String GROUPS = "sys/kernel/iommu_groups";
    /** Below a group, what it is called. */
    static final String GROUP_NAME = "/name";
    /** ACPI tables. */
    static final String TABLES = "sys/firmware/acpi/tables";

    /** The flattened device tree, for root. */
    static final String DEVICE_TREE = "sys/firmware/fdt";

    /** Below a function, the ways in which Linux can reset it, the first one that it takes first. */
    static final String RESET_METHOD = "reset_method";

    /** Whether VFIO assigns devices though interrupts are not remapped. */
    static final String UNSAFE_INTERRUPTS = "sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts";

    /** What has the machine, where Linux is below a hypervisor such as Xen. */
    static final String HYPERVISOR = "sys/hypervisor/type";

    /** What the kernel is called. */
    static final String RELEASE_FILE = "proc/sys/kernel/osrelease";

    /** Where sosreport keeps the kernel log. */
    static final String LOG_OF_SOS = "sos_commands/kernel/dmesg";

    /** Where a kernel log may lie. */
    static final List<String> LOGS = List.of("dmesg.txt", "dmesg", "dmesg.log", LOG_OF_SOS, "var/log/dmesg");

    private static final Source SOURCE = new Source("sysfs", Rank.SYSFS);

    /** What VFIO calls the groups that it makes where no IOMMU translates, {@code enable_unsafe_noiommu_mode}. */
    private static final String WITHOUT_IOMMU = "vfio-noiommu";

    private static final Pattern ADDRESS = Pattern.compile(LspciTitle.DOMAIN + "[0-9a-f]{2}:[01][0-9a-f]\\.[0-7]");
    private static final Pattern ROOT_BUS = Pattern.compile("pci[0-9a-f]{4,8}:[0-9a-f]{2}");
    private static final Pattern NUMBER = Pattern.compile("\\d{1,6}");
    private static final Pattern HEX = Pattern.compile("0x([0-9a-f]{1,8})");
    private static final Pattern REGION = Pattern.compile("0x([0-9a-f]{1,16}) 0x([0-9a-f]{1,16}) ([a-z-]{1,20})");
    private static final Pattern RELEASE = Pattern.compile("Linux version (\\S{1,128}) .*");
    private static final Map<String, ReservedRegion.Type> REGION_TYPES = Map.of(
            "direct", ReservedRegion.Type.DIRECT,
            "direct-relaxable", ReservedRegion.Type.DIRECT_RELAXABLE,
            "reserved", ReservedRegion.Type.RESERVED,
            "msi", ReservedRegion.Type.MSI);

    private final HostFiles files;
    private final EvidenceBuilder host;
    private final Set<String> withoutIommu;
    private final Set<PciAddress> listed = new TreeSet<>();
    private final Set<PciAddress> grouped = new HashSet<>();

    private SysfsReader(HostFiles files, EvidenceBuilder host) {
        this.files = files;
        this.host = host;
        this.withoutIommu = files.list(GROUPS).stream()
                .filter(group -> files.text(GROUPS + "/" + group + GROUP_NAME)
                        .filter(WITHOUT_IOMMU::equals)
                        .isPresent())
                .collect(Collectors.toUnmodifiableSet());
    }

    /**
     * Reads a tree.
     *
     * @param vendors read the attributes of their units
     * @param logs reads the kernel's log
     */
    static void read(HostFiles files, IommuVendors vendors, KernelLogReader logs, EvidenceBuilder host) {
        SysfsReader reader = new SysfsReader(files, host);
        host.input(files.source());
        reader.tables();
        reader.units(vendors);
        reader.functions();
        reader.groups();
        host.listing(Listings.Kind.FUNCTIONS, reader.listed, SOURCE);
        reader.hypervisor();
        reader.inUse();
        reader.unsafeInterrupts();
        reader.kernel(logs);
        reader.names();
    }

    private void tables() {
        for (String table : files.list(TABLES)) {
            files.bytes(TABLES + "/" + table, AcpiReader.MAX_TABLE_BYTES)
                    .filter(AcpiReader::recognises)
                    .ifPresent(bytes -> host.table(table, bytes, SOURCE));
        }
        files.bytes(DEVICE_TREE, AcpiReader.MAX_TABLE_BYTES).ifPresent(bytes -> host.deviceTree(bytes, SOURCE));
    }

    /** Linux below Xen has this file, and no units. */
    private void hypervisor() {
        files.text(HYPERVISOR).filter("xen"::equals).ifPresent(xen -> host.hypervisor(Xen.NAME, SOURCE));
    }

    private void units(IommuVendors vendors) {
        FirmwareTables firmware = signature -> files.bytes(TABLES + "/" + signature, AcpiReader.MAX_TABLE_BYTES);
        for (String unit : files.list(UNITS)) {
            String name = TextLines.printable(unit);
            Map<String, String> attributes = attributes(UNITS + "/" + unit);
            host.unitInSysfs(name, attributes);
            for (IommuVendor vendor : vendors.all()) {
                try {
                    Optional<ShownUnit> shown = vendor.describeSysfsUnit(name, attributes, firmware);
                    if (shown.isPresent()) {
                        shown.get().registerBase().ifPresent(base -> host.unit(name, base, SOURCE));
                        shown.get()
                                .registers()
                                .forEach((register, value) -> host.register(name, register, value, SOURCE));
                        break;
                    }
                } catch (IllegalArgumentException e) {
                    host.warn(TextLines.printable("unit " + name + ": " + e.getMessage()));
                    break;
                }
            }
        }
    }

    /** The attributes of a unit: the files in the driver's own directory below it. */
    private Map<String, String> attributes(String unit) {
        Map<String, String> attributes = new TreeMap<>();
        for (String directory : files.list(unit)) {
            if (directory.equals("devices") || directory.equals("power") || directory.equals("subsystem")) {
                continue;
            }
            for (String file : files.list(unit + "/" + directory)) {
                String path = directory + "/" + file;
                files.text(unit + "/" + path).ifPresent(text -> attributes.put(path, text));
            }
        }
        return attributes;
    }

    private void functions() {
        Set<String> units = new HashSet<>(files.list(UNITS));
        boolean driversShown = files.isDirectory("sys/bus/pci/drivers");
        for (String device : files.list(DEVICES)) {
            if (ADDRESS.matcher(device).matches()) {
                function(device, units, driversShown);
            }
        }
    }

    private void function(String device, Set<String> units, boolean driversShown) {
        PciAddress address = PciAddress.parse(device);
        listed.add(address);
        FunctionFacts function = host.function(address);
        Optional<String> real = files.resolve(DEVICES + "/" + device);
        real.ifPresent(path -> place(function, path));
        String directory = real.orElse(DEVICES + "/" + device);
        files.bytes(directory + "/config", ConfigSpace.EXPRESS_BYTES)
                .ifPresent(config -> function.config(config, SOURCE));
        hex(directory + "/vendor").ifPresent(id -> function.vendorId(id & 0xffff, SOURCE));
        hex(directory + "/device").ifPresent(id -> function.deviceId(id & 0xffff, SOURCE));
        hex(directory + "/class").ifPresent(code -> function.classCode(code >>> 8, SOURCE));
        files.text(directory + "/" + RESET_METHOD)
                .ifPresent(methods -> function.resetMethods(TextLines.printable(methods), SOURCE));
        files.resolve(directory + "/physfn")
                .map(SysfsReader::lastName)
                .filter(physical -> ADDRESS.matcher(physical).matches())
                .ifPresent(physical -> function.physicalFunction(PciAddress.parse(physical), SOURCE));
        // An AMD unit's own function has a directory of this name, which is not a link to a unit.
        files.resolve(directory + "/iommu")
                .map(SysfsReader::lastName)
                .filter(units::contains)
                .ifPresent(unit -> function.unit(TextLines.printable(unit), SOURCE));
        files.resolve(directory + "/iommu_group")
                .map(SysfsReader::lastName)
                .filter(group -> NUMBER.matcher(group).matches() && !withoutIommu.contains(group))
                .ifPresent(group -> {
                    grouped.add(address);
                    function.group(Integer.parseInt(group), SOURCE);
                });
        Optional<String> driver = files.resolve(directory + "/driver").map(SysfsReader::lastName);
        if (driver.isPresent() || driversShown) {
            function.driver(TextLines.printable(driver.orElse("")), SOURCE);
        }
    }

    private static void place(FunctionFacts function, String real) {
        int slash = real.lastIndexOf('/');
        String parent = slash < 0 ? "" : lastName(real.substring(0, slash));
        if (ADDRESS.matcher(parent).matches()) {
            function.bridge(PciAddress.parse(parent), SOURCE);
        } else if (ROOT_BUS.matcher(parent).matches()) {
            function.onRootBus(SOURCE);
        }
    }

    private void groups() {
        boolean membersShown = false;
        for (String group : files.list(GROUPS)) {
            if (!NUMBER.matcher(group).matches() || withoutIommu.contains(group)) {
                continue;
            }
            int id = Integer.parseInt(group);
            host.group(id);
            String directory = GROUPS + "/" + group;
            for (String device : files.list(directory + "/devices")) {
                if (ADDRESS.matcher(device).matches()) {
                    PciAddress member = PciAddress.parse(device);
                    listed.add(member);
                    grouped.add(member);
                    host.function(member).group(id, SOURCE);
                    membersShown = true;
                }
            }
            files.text(directory + "/type").ifPresent(type -> host.groupType(id, TextLines.printable(type), SOURCE));
            files.text(directory + "/reserved_regions").ifPresent(text -> regions(id, text));
        }
        if (membersShown) {
            // All groups are listed: what is in none of them is in none.
            listed.stream()
                    .filter(function -> !grouped.contains(function))
                    .forEach(function -> host.function(function).inNoGroup(SOURCE));
        }
    }

    private void regions(int group, String text) {
        List<ReservedRegion> regions = new ArrayList<>();
        for (String read : TextLines.of(text.getBytes(StandardCharsets.UTF_8))) {
            String line = read.strip();
            if (line.isEmpty()) {
                continue;
            }
            Matcher region = REGION.matcher(line);
            ReservedRegion.Type type = region.matches() ? REGION_TYPES.get(region.group(3)) : null;
            long start = type == null ? 0 : Long.parseUnsignedLong(region.group(1), 16);
            long end = type == null ? 0 : Long.parseUnsignedLong(region.group(2), 16);
            if (type == null || Long.compareUnsigned(start, end) > 0) {
                host.warn("group " + group + " has '" + TextLines.printable(line)
                        + "' in reserved_regions, expected a form like '0xfee00000 0xfeefffff msi'");
                return;
            }
            regions.add(new ReservedRegion(start, end, type));
        }
        host.groupReserved(group, regions, SOURCE);
    }

    private void inUse() {
        boolean units = !files.list(UNITS).isEmpty();
        boolean groups = !withoutIommu.containsAll(files.list(GROUPS));
        if (units || groups) {
            host.iommuInUse(true, SOURCE);
        } else if (files.isDirectory(GROUPS)) {
            host.iommuInUse(false, SOURCE);
        }
    }

    private void unsafeInterrupts() {
        files.text(UNSAFE_INTERRUPTS)
                .filter(value -> value.equals("Y") || value.equals("N"))
                .ifPresent(value -> host.unsafeInterrupts(value.equals("Y"), SOURCE));
    }

    private void kernel(KernelLogReader logs) {
        Optional<String> release = files.text(RELEASE_FILE);
        if (release.isEmpty()) {
            release = files.text("proc/version")
                    .map(RELEASE::matcher)
                    .filter(Matcher::matches)
                    .map(version -> version.group(1));
        }
        release.ifPresent(found -> host.kernelRelease(TextLines.printable(found), new Source("proc", Rank.SYSFS)));
        files.commandLine()
                .ifPresent(
                        found -> host.commandLine(TextLines.printable(found), new Source("proc/cmdline", Rank.SYSFS)));
        for (String log : LOGS) {
            Optional<byte[]> bytes = files.bytes(log);
            if (bytes.isPresent()) {
                logs.read(bytes.get(), new Source(log, Rank.LOG), host);
                return;
            }
        }
        files.kernelRing().ifPresent(log -> logs.read(log, new Source("/dev/kmsg", Rank.LOG), host));
    }

    private void names() {
        for (String place : PciIds.PLACES) {
            Optional<byte[]> file = files.bytes(place);
            if (file.isPresent()) {
                host.names(file.get(), new Source(place, Rank.LSPCI));
                return;
            }
        }
    }

    private Optional<Integer> hex(String path) {
        return files.text(path)
                .map(HEX::matcher)
                .filter(Matcher::matches)
                .map(matcher -> Integer.parseUnsignedInt(matcher.group(1), 16));
    }

    private static String lastName(String path) {
        return path.substring(path.lastIndexOf('/') + 1);
    }
}
