// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.host;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.iommu4j.platform.PciAddress;

/**
 * What a capture says about a host: PCI functions, IOMMU units, groups, ACPI tables and the kernel log.
 *
 * <p>Source: {@code Documentation/ABI/testing/sysfs-bus-pci}, {@code sysfs-class-iommu}, {@code
 * sysfs-kernel-iommu_groups}.
 */
public final class CapturedHost {
    private static final Pattern ADDRESS = Pattern.compile("[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\\.[0-7]");

    /** The lines with which Linux says that it remaps interrupts, one per driver. */
    private static final Pattern REMAPPING_ENABLED =
            Pattern.compile("DMAR-IR: Enabled IRQ remapping|AMD-Vi: Interrupt remapping enabled");

    /** The configuration space of a conventional PCI function. */
    private static final int CONVENTIONAL_BYTES = 256;

    private static final List<String> LOG_FILES = List.of("dmesg.txt", "dmesg", "dmesg.log");

    private final String name;
    private final List<CapturedFunction> functions;
    private final SortedMap<String, Map<String, String>> units;
    private final SortedMap<String, byte[]> acpiTables;
    private final Optional<String> kernelLog;

    private CapturedHost(
            String name,
            List<CapturedFunction> functions,
            SortedMap<String, Map<String, String>> units,
            SortedMap<String, byte[]> acpiTables,
            Optional<String> kernelLog) {
        this.name = name;
        this.functions = functions;
        this.units = units;
        this.acpiTables = acpiTables;
        this.kernelLog = kernelLog;
    }

    /**
     * Reads a capture.
     *
     * @param path a directory or a tar file
     * @throws InputException when it is no capture, shows no PCI function, or not all of a function's configuration space
     */
    public static CapturedHost read(Path path) {
        CaptureFiles files = CaptureFiles.open(path);
        SortedMap<String, Map<String, String>> units = new TreeMap<>();
        for (String unit : files.list("sys/class/iommu")) {
            units.put(unit, attributes(files, "sys/class/iommu/" + unit));
        }
        List<CapturedFunction> functions = new ArrayList<>();
        for (String device : files.list("sys/bus/pci/devices")) {
            if (ADDRESS.matcher(device).matches()) {
                functions.add(function(files, device, units.keySet()));
            }
        }
        if (functions.isEmpty()) {
            throw new InputException(path + ": no PCI function under sys/bus/pci/devices");
        }
        SortedMap<String, byte[]> tables = new TreeMap<>();
        for (String table : files.list("sys/firmware/acpi/tables")) {
            files.bytes("sys/firmware/acpi/tables/" + table).ifPresent(bytes -> tables.put(table, bytes));
        }
        Optional<String> log =
                LOG_FILES.stream().flatMap(file -> files.text(file).stream()).findFirst();
        String file = path.toAbsolutePath().normalize().getFileName().toString();
        return new CapturedHost(
                file.endsWith(".tar") ? file.substring(0, file.length() - ".tar".length()) : file,
                List.copyOf(functions),
                units,
                tables,
                log);
    }

    /** Returns a name for people: the file's. */
    public String name() {
        return name;
    }

    /** Returns the PCI functions in the order of their addresses. */
    public List<CapturedFunction> functions() {
        return functions;
    }

    /** Returns the units under {@code /sys/class/iommu} by name, each with its attributes by relative path. */
    public SortedMap<String, Map<String, String>> units() {
        return units;
    }

    /** Returns the ACPI tables by file name, which is the signature. */
    public SortedMap<String, byte[]> acpiTables() {
        return acpiTables;
    }

    /** Returns whether the kernel log says that interrupts are remapped; empty when there is no log. */
    public Optional<Boolean> interruptRemapping() {
        return kernelLog.map(log -> REMAPPING_ENABLED.matcher(log).find());
    }

    /** Returns Linux's own groups: the functions of each, by its number. */
    public SortedMap<Integer, SortedSet<PciAddress>> groups() {
        SortedMap<Integer, SortedSet<PciAddress>> groups = new TreeMap<>();
        for (CapturedFunction function : functions) {
            function.group()
                    .ifPresent(group -> groups.computeIfAbsent(group, unused -> new TreeSet<>())
                            .add(function.address()));
        }
        return groups;
    }

    private static CapturedFunction function(CaptureFiles files, String device, Set<String> units) {
        String directory = "sys/bus/pci/devices/" + device;
        String real = files.resolve(directory)
                .orElseThrow(() -> new InputException(files.source() + ": " + directory + " leads nowhere"));
        byte[] config = files.bytes(directory + "/config")
                .orElseThrow(() -> new InputException(files.source() + ": " + directory + "/config is missing"));
        if (config.length < CONVENTIONAL_BYTES) {
            throw new InputException(files.source() + ": " + directory + "/config has " + config.length
                    + " bytes, expected 256 or 4096: without root Linux shows 64, which hides all capabilities");
        }
        int slash = real.lastIndexOf('/');
        String parent = slash < 0 ? "" : lastName(real.substring(0, slash));
        return new CapturedFunction(
                PciAddress.parse(device),
                ADDRESS.matcher(parent).matches() ? Optional.of(PciAddress.parse(parent)) : Optional.empty(),
                config,
                // An AMD unit's own function has a directory of this name, which is no link to a unit.
                files.resolve(directory + "/iommu").map(CapturedHost::lastName).filter(units::contains),
                group(files, directory));
    }

    private static OptionalInt group(CaptureFiles files, String directory) {
        Optional<String> target = files.resolve(directory + "/iommu_group").map(CapturedHost::lastName);
        Matcher number = Pattern.compile("\\d{1,6}").matcher(target.orElse(""));
        return number.matches() ? OptionalInt.of(Integer.parseInt(number.group())) : OptionalInt.empty();
    }

    /** The attributes of a unit: the files in the driver's own directory below it. */
    private static Map<String, String> attributes(CaptureFiles files, String unit) {
        Map<String, String> attributes = new TreeMap<>();
        for (String directory : files.list(unit)) {
            for (String file : files.list(unit + "/" + directory)) {
                String path = directory + "/" + file;
                files.text(unit + "/" + path).ifPresent(text -> attributes.put(path, text));
            }
        }
        return attributes;
    }

    private static String lastName(String path) {
        return path.substring(path.lastIndexOf('/') + 1);
    }
}
