// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.CoherencyRule;
import org.iommu4j.spi.DeviceDescription;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.HostFacts;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.KernelLog;
import org.iommu4j.spi.Reason;
import org.iommu4j.spi.UnitAbilities;
import org.iommu4j.spi.UnitDescription;
import org.iommu4j.spi.VendorContext;
import org.jspecify.annotations.Nullable;

/**
 * Units that no vendor on the path drives: their names, and Linux's answers for their devices.
 *
 * <p>Each row of the table is a vendor that describes what Linux shows and can't be opened. A vendor on the path takes
 * precedence for the units that it describes, and one with the name of a row replaces it in the releases that it
 * supports. The tables and registers of these units are not read.
 *
 * <p>Source: the names that Linux's drivers give to {@code iommu_device_sysfs_add}, and their {@code .capable} and
 * {@code .enforce_cache_coherency} ops, 5.19 to 7.3.
 */
public final class ForeignUnits implements IommuVendor {
    /**
     * The lines of a driver, each of which begins with the driver's name and the unit's device.
     *
     * @param device after the driver's name
     * @param prefix what stands before the device in the unit's name; a device that begins like it needs none
     */
    private record Line(Pattern device, String prefix) {
        Line(String driver, String prefix) {
            this(Pattern.compile("(?:^|[\\s\\]])(?:" + driver + ") ([0-9A-Za-z][\\w.:@-]{0,63}): "), prefix);
        }

        /** Returns the name of the unit that a line is about. */
        Optional<String> unit(String line) {
            Matcher matcher = device.matcher(line);
            if (!matcher.find()) {
                return Optional.empty();
            }
            String its = matcher.group(1);
            boolean named = !prefix.isEmpty() && its.startsWith(prefix.substring(0, prefix.length() - 1) + ".");
            return Optional.of(named ? its : prefix + its);
        }
    }

    private static final String CANNOT = "the driver can't block no-snoop";

    /** VFIO refuses a device whose IOMMU driver does not promise coherent DMA. */
    private static final LinuxRelease PROMISE_REQUIRED = new LinuxRelease(5, 19);

    private static final Reason REFUSAL = new Reason(
            "its IOMMU's driver does not promise coherent DMA, EINVAL",
            "Linux vfio_register_group_dev (5.19): IOMMU_CAP_CACHE_COHERENCY");

    private static final List<IommuVendor> ALL = List.of(
            new ForeignUnits(
                    "smmuv3",
                    "smmu3\\.0x[0-9a-f]{1,16}|arm-smmu-v3[.@].{1,64}",
                    List.of("arm-smmu-v3"),
                    new Line("arm-smmu-v3", "arm-smmu-v3@"),
                    HardwareVirtualization.NONE,
                    CoherencyRule.PER_ROOT_COMPLEX,
                    new LinuxRelease(6, 13),
                    true,
                    new Reason(
                            "IORT states whether the device's root complex makes no-snoop harmless (CANWBS)",
                            "Linux arm_smmu_enforce_cache_coherency (6.13)")),
            never(
                    "smmu",
                    "smmu\\.0x[0-9a-f]{1,16}|arm-smmu[.@].{1,64}",
                    List.of("arm-smmu"),
                    new Line("arm-smmu", "arm-smmu@"),
                    HardwareVirtualization.NONE,
                    true,
                    "arm-smmu.c"),
            never(
                    "virtioiommu",
                    "virtio[0-9]{1,5}",
                    List.of("virtio_iommu"),
                    new Line("virtio_iommu", ""),
                    null,
                    true,
                    "virtio-iommu.c"),
            never(
                    "appledart",
                    "apple-dart(?:-apif)?\\..{1,64}",
                    List.of("apple-dart"),
                    new Line("apple-dart", "apple-dart."),
                    HardwareVirtualization.NONE,
                    false,
                    "apple-dart.c"),
            never("hyperv", "hv-iommu", List.of("hv-iommu", "Hyper-V IOMMU"), null, null, false, "hyperv/iommu.c"),
            never(
                    "riscv",
                    "riscv-iommu@.{1,64}",
                    List.of("riscv-iommu", "riscv,iommu"),
                    new Line("riscv,iommu|riscv-iommu(?:-pci|-platform)?", "riscv-iommu@"),
                    HardwareVirtualization.NONE,
                    false,
                    "riscv/iommu.c"));

    private final String kind;
    private final Pattern name;
    private final List<String> words;
    private final @Nullable Line line;
    private final @Nullable HardwareVirtualization virtualization;
    private final CoherencyRule rule;
    private final @Nullable LinuxRelease mayEnforceFrom;
    private final boolean promisesCoherentDma;
    private final Reason why;

    /**
     * Makes a row.
     *
     * @param kind the vendor's name
     * @param name what Linux calls such a unit under {@code /sys/class/iommu}, a regular expression
     * @param words what the driver's lines in the kernel's log have, one of them at least
     * @param line what of such a line names the unit, null where none does
     * @param virtualization of the processors beside it, null where they may be of any kind
     * @param mayEnforceFrom the first release in which no-snoop may be blocked for some device, null where there is
     *     none
     * @param promisesCoherentDma whether the driver answers that ordinary DMA is coherent, which VFIO asks of each
     *     device
     */
    private ForeignUnits(
            String kind,
            String name,
            List<String> words,
            @Nullable Line line,
            @Nullable HardwareVirtualization virtualization,
            CoherencyRule rule,
            @Nullable LinuxRelease mayEnforceFrom,
            boolean promisesCoherentDma,
            Reason why) {
        this.kind = kind;
        this.name = Pattern.compile(name);
        this.words = List.copyOf(words);
        this.line = line;
        this.virtualization = virtualization;
        this.rule = rule;
        this.mayEnforceFrom = mayEnforceFrom;
        this.promisesCoherentDma = promisesCoherentDma;
        this.why = why;
    }

    private static ForeignUnits never(
            String kind,
            String name,
            List<String> words,
            @Nullable Line line,
            @Nullable HardwareVirtualization virtualization,
            boolean promisesCoherentDma,
            String file) {
        Reason why = new Reason(CANNOT, "Linux drivers/iommu " + file + ": no enforce_cache_coherency");
        return new ForeignUnits(
                kind, name, words, line, virtualization, CoherencyRule.NEVER, null, promisesCoherentDma, why);
    }

    /** Returns the rows, one vendor each. */
    public static List<IommuVendor> all() {
        return ALL;
    }

    /** Returns the rows but for those that have the name of one of some vendors, which knows its units better. */
    public static List<IommuVendor> beside(List<IommuVendor> vendors) {
        return ALL.stream()
                .filter(row ->
                        vendors.stream().noneMatch(vendor -> vendor.name().equals(row.name())))
                .toList();
    }

    @Override
    public String name() {
        return kind;
    }

    /** Returns whether a unit that Linux shows is of this kind. */
    private boolean isNamed(String unit) {
        return name.matcher(unit).matches();
    }

    /** Returns false: what Linux shows makes such a unit known, and no table. */
    @Override
    public boolean claims(FirmwareTables firmware) {
        Objects.requireNonNull(firmware, "firmware");
        return false;
    }

    @Override
    public boolean recognises(HostFacts facts) {
        return facts.showsUnit(this::isNamed);
    }

    /**
     * The lines that the driver of such a unit prints: they identify a log, name the unit, and show that it is in use.
     * No other fact is read from them. Linux calls some units otherwise under {@code /sys/class/iommu}; where a tree
     * shows these, they take precedence.
     */
    @Override
    public KernelLog kernelLog() {
        return new KernelLog() {
            @Override
            public List<String> words() {
                return words;
            }

            @Override
            public void read(String line, Findings findings) {
                Objects.requireNonNull(line, "line");
                Line known = ForeignUnits.this.line;
                (known == null ? Optional.<String>empty() : known.unit(line))
                        .filter(ForeignUnits.this::isNamed)
                        .ifPresent(unit -> findings.unit(unit, OptionalLong.empty(), Map.of()));
                findings.inUse(true);
            }
        };
    }

    @Override
    public HostDescription describe(HostFacts facts, LinuxRelease release) {
        Objects.requireNonNull(facts, "facts");
        Objects.requireNonNull(release, "release");
        List<UnitDescription> units = new ArrayList<>();
        List<DeviceDescription> devices = new ArrayList<>();
        LinuxRelease from = mayEnforceFrom;
        Answer enforces = mayEnforceFrom != null && release.compareTo(mayEnforceFrom) >= 0 ? Answer.UNKNOWN : Answer.NO;
        facts.shownUnits().entrySet().stream()
                .filter(shown -> isNamed(shown.getKey()) && shown.getValue().inUse() != Answer.NO)
                .map(Map.Entry::getKey)
                .forEach(unit -> units.add(new UnitDescription(
                        unit,
                        OptionalInt.empty(),
                        OptionalLong.empty(),
                        Answer.UNKNOWN,
                        List.of(),
                        UnitAbilities.UNKNOWN.blockingNoSnoop(enforces),
                        Map.of(),
                        Map.of())));
        List<String> ids = units.stream().map(UnitDescription::id).toList();
        Reason reason =
                enforces == Answer.NO && from != null ? new Reason(CANNOT + " before " + from, why.source()) : why;
        for (PciFunction function : facts.topology().functions()) {
            String link = facts.unitLinks().get(function.address());
            boolean linked = link != null && isNamed(link);
            if (linked || facts.groups().members().contains(function.address())) {
                String only = ids.size() == 1 ? ids.get(0) : null;
                String unit = linked ? link : only;
                devices.add(new DeviceDescription(
                        function.address(),
                        Answer.YES,
                        unit,
                        unit == null ? ids : List.of(unit),
                        enforces,
                        List.of(reason),
                        null,
                        Answer.UNKNOWN));
            }
        }
        boolean refused = !promisesCoherentDma && release.compareTo(PROMISE_REQUIRED) >= 0;
        return new HostDescription(
                kind,
                rule,
                Answer.UNKNOWN,
                units,
                devices,
                List.of(),
                List.of(),
                virtualization,
                null,
                refused ? REFUSAL : null);
    }

    /** Refuses: there is no driver here. */
    @Override
    public Iommu open(VendorContext context) {
        Objects.requireNonNull(context, "context");
        throw new IommuException(Errno.ENODEV, kind + " has no driver here");
    }
}
