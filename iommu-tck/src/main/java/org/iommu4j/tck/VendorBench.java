// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.reflect.Proxy;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.SortedMap;
import java.util.TreeMap;
import org.iommu4j.LinuxRelease;
import org.iommu4j.device.DeviceId;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.pci.PciTopology;
import org.iommu4j.platform.DeviceTree;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.platform.support.FirmwareBytes;
import org.iommu4j.sim.pcie.SimulatedFunction;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.BootOptions;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.HostFacts;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.spi.LinuxStatements;
import org.iommu4j.spi.RegisterValues;
import org.iommu4j.spi.ShownGroups;
import org.iommu4j.spi.ShownUnit;
import org.iommu4j.tck.support.ReadOnlyFunction;
import org.jspecify.annotations.Nullable;

/**
 * A vendor and what is known of its machine, without the machine: tables as bytes, functions, values of registers. A
 * device tree counts as a table, with the signature {@link DeviceTree#NAME}.
 *
 * <p>What a driver gets when it is opened here is a {@link ScriptedPlatform}.
 */
public final class VendorBench extends Account {
    private final Subject subject;
    private @Nullable String signature;
    private @Nullable PciTopology topology;

    /** Makes a bench; nothing is asked of the vendor yet. */
    VendorBench(Subject subject) {
        this.subject = subject;
    }

    /** Returns what is tested. */
    public Subject subject() {
        return subject;
    }

    /** Returns the release whose rules the driver follows. */
    public LinuxRelease release() {
        return subject.release();
    }

    /** Returns the one vendor that claims the machine. */
    public IommuVendor vendor() {
        List<IommuVendor> claiming =
                subject.vendors().claiming(subject.machine().firmware());
        assertThat(claiming).as("vendors that claim %s", subject).hasSize(1);
        return claiming.get(0);
    }

    /**
     * Makes another instance of the vendor's class, by its public constructor without parameters. A dynamic proxy
     * stands for the vendor of its name on the path.
     */
    public IommuVendor another() throws ReflectiveOperationException {
        Class<? extends IommuVendor> type = vendor().getClass();
        return Proxy.isProxyClass(type)
                ? IommuVendors.load().named(vendor().name())
                : type.getConstructor().newInstance();
    }

    /** Returns the signature of the table by which the vendor claims the machine. */
    public String signature() {
        if (signature == null) {
            signature = findSignature();
        }
        return signature;
    }

    private String findSignature() {
        IommuVendor vendor = vendor();
        return tables().keySet().stream()
                .filter(signature -> vendor.claims(firmware(Map.of(signature, table(signature)))))
                .sorted()
                .findFirst()
                .orElseThrow(() -> new AssertionError("no table alone has " + vendor.name() + " claim " + subject));
    }

    /** Returns whether the vendor claims the machine by its device tree, which has no checksum and is nobody's own. */
    public boolean byDeviceTree() {
        return signature().equals(DeviceTree.NAME);
    }

    /** Returns the machine's tables by signature. */
    public Map<String, byte[]> tables() {
        Map<String, byte[]> tables = new LinkedHashMap<>(subject.machine().acpiTables());
        subject.machine().deviceTree().ifPresent(tree -> tables.put(DeviceTree.NAME, tree));
        return tables;
    }

    /** Returns a copy of one of the machine's tables. */
    public byte[] table(String signature) {
        FirmwareTables firmware = subject.machine().firmware();
        return (signature.equals(DeviceTree.NAME) ? firmware.deviceTree() : firmware.table(signature)).orElseThrow();
    }

    /** Returns firmware with these tables and no others. */
    public static FirmwareTables firmware(Map<String, byte[]> tables) {
        Map<String, byte[]> acpi = new LinkedHashMap<>(tables);
        Optional<byte[]> tree = Optional.ofNullable(acpi.remove(DeviceTree.NAME));
        return new FirmwareBytes(acpi, tree);
    }

    /** Returns the machine's firmware with the vendor's table replaced. */
    public FirmwareTables firmwareWith(byte[] table) {
        Map<String, byte[]> tables = tables();
        tables.put(signature(), table);
        return firmware(tables);
    }

    /** Returns the machine's functions, whose configuration spaces can't be written. */
    public PciTopology topology() {
        if (topology == null) {
            topology = newTopology();
        }
        return topology;
    }

    private PciTopology newTopology() {
        List<PciFunction> functions = subject.machine().functions().stream()
                .<PciFunction>map(function -> new ReadOnlyFunction(new SimulatedFunction(function)))
                .toList();
        return () -> functions;
    }

    /** Returns the values of all registers of the machine's units. */
    public RegisterValues values() {
        return (unit, base, register) -> {
            for (TranslationUnitSpec spec : subject.machine().units()) {
                boolean meant = base.isPresent()
                        ? base.getAsLong() == spec.registerBase()
                        : spec.name().equals(unit);
                if (meant && spec.registers().containsKey(register)) {
                    return OptionalLong.of(spec.register(register));
                }
            }
            return OptionalLong.empty();
        };
    }

    /** Returns the machine's units as Linux shows them when it uses all of them. */
    public SortedMap<String, ShownUnit> shownUnits() {
        SortedMap<String, ShownUnit> shown = new TreeMap<>();
        for (TranslationUnitSpec unit : subject.machine().units()) {
            shown.put(unit.name(), new ShownUnit(OptionalLong.of(unit.registerBase()), unit.registers(), Answer.YES));
        }
        return shown;
    }

    /** Returns all that the machine's tables, functions and registers tell. */
    public HostFacts facts() {
        return facts(subject.machine().firmware(), topology(), values());
    }

    /** Returns facts of a host whose Linux shows nothing. */
    public HostFacts facts(FirmwareTables firmware, PciTopology topology, RegisterValues values) {
        return facts(
                firmware,
                topology,
                values,
                new TreeMap<>(),
                Map.of(),
                subject.machine().bootOptions());
    }

    /** Returns facts of a host whose Linux shows units and links. */
    public HostFacts facts(
            FirmwareTables firmware,
            PciTopology topology,
            RegisterValues values,
            SortedMap<String, ShownUnit> units,
            Map<DeviceId, String> links,
            BootOptions options) {
        return new HostFacts(firmware, topology, values, units, links, ShownGroups.NONE, options, LinuxStatements.NONE);
    }

    /** Describes the machine by all that is known of it. */
    public HostDescription describe() {
        return vendor().describe(facts(), release());
    }

    /** Returns ports on which no unit answers yet. */
    public ScriptedPlatform platform() {
        return new ScriptedPlatform(subject, topology());
    }

    /** Returns how many mutants a test tries: {@code -Diommu4j.tck.mutants}, or the test's own number. */
    public int mutants(int moderate) {
        return Integer.getInteger("iommu4j.tck.mutants", moderate);
    }
}
