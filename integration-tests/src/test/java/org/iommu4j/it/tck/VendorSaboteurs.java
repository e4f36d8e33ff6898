// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import static org.iommu4j.it.tck.Handlers.afterError;
import static org.iommu4j.it.tck.Handlers.onError;
import static org.iommu4j.it.tck.Handlers.refuse;
import static org.iommu4j.it.tck.Handlers.swap;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.UnaryOperator;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.ReservedRegion;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.platform.MalformedTableException;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.CoherencyRule;
import org.iommu4j.spi.DeviceDescription;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.HostFacts;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.spi.KernelLog;
import org.iommu4j.spi.KernelParameter;
import org.iommu4j.spi.Reason;
import org.iommu4j.spi.ShownUnit;
import org.iommu4j.spi.UnitDescription;
import org.iommu4j.spi.VendorContext;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Traits;

/** Vendors that describe and open wrongly. */
final class VendorSaboteurs {
    private static final List<String> SIGNATURES = List.of("DMAR", "IVRS", "MINI");
    private static final Reason GENERAL = new Reason("it depends", "nobody");

    private VendorSaboteurs() {}

    static List<Saboteur> all() {
        return Saboteur.all(names(), claims(), shown(), parameters(), descriptions(), refusals(), opening(), logs());
    }

    private static Saboteur vendor(String promise, String about, String method, Interposer.Handler handler) {
        return Saboteur.of(promise, about, IommuVendor.class, method, handler);
    }

    private static Saboteur log(String promise, String about, String method, Interposer.Handler handler) {
        return Saboteur.of(promise, about, KernelLog.class, method, handler);
    }

    private static Saboteur described(String promise, String about, UnaryOperator<HostDescription> change) {
        return vendor(promise, about, "describe", call -> change.apply((HostDescription) call.proceed()));
    }

    private static Saboteur devices(String promise, String about, UnaryOperator<List<DeviceDescription>> change) {
        return described(
                promise,
                about,
                all -> with(all, all.units(), change.apply(all.devices()), all.parameters(), all.warnings()));
    }

    private static Saboteur eachDevice(String promise, String about, UnaryOperator<DeviceDescription> change) {
        return devices(promise, about, all -> all.stream().map(change).toList());
    }

    private static Saboteur units(String promise, String about, UnaryOperator<UnitDescription> change) {
        return described(
                promise,
                about,
                all -> with(
                        all,
                        all.units().stream().map(change).toList(),
                        all.devices(),
                        all.parameters(),
                        all.warnings()));
    }

    private static HostDescription with(
            HostDescription all,
            List<UnitDescription> units,
            List<DeviceDescription> devices,
            List<KernelParameter> parameters,
            List<String> warnings) {
        return new HostDescription(
                all.vendor(),
                all.rule(),
                all.everyUnitBlocks(),
                units,
                devices,
                parameters,
                warnings,
                all.virtualization(),
                all.directLock(),
                all.refusal());
    }

    private static DeviceDescription device(
            DeviceDescription device, Answer translated, Answer enforced, List<Reason> reasons, Answer isolated) {
        return new DeviceDescription(
                device.id(),
                translated,
                device.unit(),
                device.candidates(),
                enforced,
                reasons,
                device.reservedRegions(),
                isolated);
    }

    private static DeviceDescription regions(DeviceDescription device, List<ReservedRegion> regions) {
        return new DeviceDescription(
                device.id(),
                device.translated(),
                device.unit(),
                device.candidates(),
                device.enforceCacheCoherency(),
                device.reasons(),
                regions,
                device.isolatedInterrupts());
    }

    private static List<Saboteur> names() {
        return List.of(
                vendor("vendor-name-1", "has a dash in its name", "name", call -> call.proceed() + "-x"),
                vendor("vendor-name-1", "has a capital letter in its name", "name", call -> {
                    String name = (String) call.proceed();
                    return name.substring(0, 1).toUpperCase(Locale.ROOT) + name.substring(1);
                }),
                described(
                        "vendor-name-1",
                        "describes under another name",
                        all -> new HostDescription(
                                all.vendor() + "2",
                                all.rule(),
                                all.units(),
                                all.devices(),
                                all.parameters(),
                                all.warnings())),
                Saboteur.of("vendor-1", "keeps its first description", () -> {
                    AtomicReference<Object> first = new AtomicReference<>();
                    return List.of(new Interposer.Change(IommuVendor.class, "describe", call -> {
                        Object now = call.proceed();
                        return first.compareAndSet(null, now) ? now : first.get();
                    }));
                }),
                Saboteur.of("vendor-1", "warns of a malformed table ever after", () -> {
                    AtomicInteger malformed = new AtomicInteger();
                    return List.of(new Interposer.Change(IommuVendor.class, "describe", call -> {
                        try {
                            HostDescription all = (HostDescription) call.proceed();
                            return malformed.get() == 0
                                    ? all
                                    : with(all, all.units(), all.devices(), all.parameters(), List.of("malformed"));
                        } catch (MalformedTableException e) {
                            malformed.incrementAndGet();
                            throw e;
                        }
                    }));
                }),
                Saboteur.of("vendor-1", "remembers in a field what the thread before it described", () -> {
                    AtomicReference<Object[]> last = new AtomicReference<>(new Object[2]);
                    return List.of(new Interposer.Change(IommuVendor.class, "describe", call -> {
                        Object now = call.proceed();
                        Object[] before = last.getAndSet(new Object[] {Thread.currentThread(), now});
                        return before[0] == null || before[0] == Thread.currentThread() ? now : before[1];
                    }));
                }),
                new Saboteur(
                        "vendor-1",
                        "can't be made without parameters",
                        subject -> subject.with(
                                IommuVendors.of(subject.vendors().all().stream()
                                        .map(Wrapped::new)
                                        .toList()),
                                subject.machines(),
                                subject.ports()),
                        subject -> true));
    }

    /** A vendor that needs another one to be made. */
    private record Wrapped(IommuVendor vendor) implements IommuVendor {
        @Override
        public String name() {
            return vendor.name();
        }

        @Override
        public boolean claims(FirmwareTables firmware) {
            return vendor.claims(firmware);
        }

        @Override
        public HostDescription describe(HostFacts facts, LinuxRelease release) {
            return vendor.describe(facts, release);
        }

        @Override
        public Iommu open(VendorContext context) {
            return vendor.open(context);
        }
    }

    private static Optional<byte[]> table(FirmwareTables firmware) {
        return SIGNATURES.stream()
                .flatMap(signature -> firmware.table(signature).stream())
                .findFirst();
    }

    private static boolean damaged(FirmwareTables firmware) {
        for (String signature : SIGNATURES) {
            byte[] table = firmware.table(signature).orElse(new byte[0]);
            int sum = 0;
            for (byte each : table) {
                sum += each;
            }
            if (table.length > 0 && (sum & 0xff) != 0) {
                return true;
            }
        }
        return false;
    }

    private static List<Saboteur> claims() {
        return List.of(
                vendor("claims-1", "claims every machine", "claims", call -> true),
                vendor(
                        "claims-1",
                        "claims a machine with a stranger's table",
                        "claims",
                        call -> (boolean) call.proceed()
                                || call.argument(0, FirmwareTables.class)
                                        .table("MCFG")
                                        .isPresent()),
                Saboteur.of("claims-1", "claims a machine only a few times", () -> {
                    AtomicInteger times = new AtomicInteger();
                    return List.of(new Interposer.Change(
                            IommuVendor.class,
                            "claims",
                            call -> times.incrementAndGet() < 12 && (boolean) call.proceed()));
                }),
                vendor(
                        "claims-2",
                        "claims no table with a wrong checksum",
                        "claims",
                        call -> (boolean) call.proceed() && !damaged(call.argument(0, FirmwareTables.class))),
                vendor("claims-2", "reads the length of the table", "claims", call -> {
                    FirmwareTables firmware = call.argument(0, FirmwareTables.class);
                    for (String signature : SIGNATURES) {
                        firmware.table(signature).ifPresent(table -> {
                            if (table[4] == 0) {
                                throw new MalformedTableException(signature, 4, "no length");
                            }
                        });
                    }
                    return call.proceed();
                }),
                vendor(
                        "claims-3",
                        "claims every machine under a release",
                        "claims",
                        call -> call.count() == 2 || (boolean) call.proceed()),
                vendor(
                        "claims-3",
                        "finds its units under the newest release alone",
                        "claims",
                        call -> (boolean) call.proceed()
                                && (call.count() == 1
                                        || call.argument(1, LinuxRelease.class).equals(LinuxRelease.NEWEST))),
                vendor(
                        "claims-3",
                        "claims nothing under a release that it does not support",
                        "claims",
                        call -> (boolean) call.proceed()
                                && (call.count() == 1
                                        || call.target(IommuVendor.class)
                                                .supports(call.argument(1, LinuxRelease.class)))),
                vendor(
                                "recognises-1",
                                "recognises a host by its table alone",
                                "recognises",
                                call -> call.target(IommuVendor.class)
                                        .claims(call.argument(0, HostFacts.class)
                                                .firmware()))
                        .on(Offers::shownUnits),
                vendor(
                        "recognises-1",
                        "recognises a host by its units alone",
                        "recognises",
                        call -> !call.argument(0, HostFacts.class).shownUnits().isEmpty() && (boolean) call.proceed()),
                vendor(
                        "recognises-1",
                        "recognises a host by any unit",
                        "recognises",
                        call -> !call.argument(0, HostFacts.class).shownUnits().isEmpty() || (boolean) call.proceed()),
                vendor(
                        "recognises-1",
                        "recognises no host with a damaged table",
                        "recognises",
                        call -> (boolean) call.proceed()
                                && table(call.argument(0, HostFacts.class).firmware())
                                        .map(table -> table.length >= 36)
                                        .orElse(true)),
                vendor("kernel-log-1", "has no reader of the log", "kernelLog", call -> null),
                log(
                        "kernel-log-1",
                        "hands its list of words out",
                        "words",
                        call -> new ArrayList<>((List<?>) call.proceed())));
    }

    private static List<Saboteur> shown() {
        return List.of(
                vendor("sysfs-1", "knows no unit", "describeSysfsUnit", call -> Optional.empty())
                        .on(Offers::shownUnits),
                vendor(
                                "sysfs-1",
                                "takes a stranger's unit",
                                "describeSysfsUnit",
                                call -> call.argument(0, String.class).startsWith("zz")
                                        ? Optional.of(new ShownUnit(OptionalLong.empty(), Map.of()))
                                        : call.proceed())
                        .on(Offers::shownUnits),
                vendor("sysfs-1", "reads the address of the next unit", "describeSysfsUnit", call -> {
                            Optional<?> unit = (Optional<?>) call.proceed();
                            return unit.map(ShownUnit.class::cast)
                                    .map(own ->
                                            new ShownUnit(OptionalLong.of(0xfeda0000L), own.registers(), own.inUse()));
                        })
                        .on(Offers::shownUnits),
                vendor("sysfs-1", "reads a register wrongly", "describeSysfsUnit", call -> {
                            Optional<?> unit = (Optional<?>) call.proceed();
                            return unit.map(ShownUnit.class::cast).map(own -> {
                                Map<String, Long> registers = new LinkedHashMap<>(own.registers());
                                registers.replaceAll((name, value) -> value ^ 0x55L << 32);
                                return new ShownUnit(own.registerBase(), registers, own.inUse());
                            });
                        })
                        .on(Offers::shownUnits),
                vendor("sysfs-1", "does not know that the unit is used", "describeSysfsUnit", call -> {
                            Optional<?> unit = (Optional<?>) call.proceed();
                            return unit.map(ShownUnit.class::cast)
                                    .map(own -> new ShownUnit(own.registerBase(), own.registers()));
                        })
                        .on(Offers::shownUnits),
                vendor("sysfs-2", "takes a unit that can't be read for a stranger's", "describeSysfsUnit", call -> {
                            try {
                                return call.proceed();
                            } catch (IllegalArgumentException e) {
                                return Optional.empty();
                            }
                        })
                        .on(Offers::shownUnits),
                vendor("sysfs-2", "refuses without a word", "describeSysfsUnit", call -> {
                            try {
                                return call.proceed();
                            } catch (IllegalArgumentException e) {
                                throw new IllegalArgumentException("", e);
                            }
                        })
                        .on(Offers::shownUnits),
                vendor("sysfs-2", "throws another exception where a value is empty", "describeSysfsUnit", call -> {
                            if (call.argument(1, Map.class).containsValue("")) {
                                throw new StringIndexOutOfBoundsException(0);
                            }
                            return call.proceed();
                        })
                        .on(Offers::shownUnits),
                vendor("sysfs-2", "parses what is no number", "describeSysfsUnit", call -> {
                            try {
                                return call.proceed();
                            } catch (IllegalArgumentException e) {
                                throw new NumberFormatException("For input string");
                            }
                        })
                        .on(Offers::shownUnits));
    }

    private static List<Saboteur> parameters() {
        return List.of(
                vendor("parameters-1", "lists all parameters but the first", "kernelParameters", call -> {
                            List<?> all = (List<?>) call.proceed();
                            return all.isEmpty() ? all : all.subList(1, all.size());
                        })
                        .on(Offers::parameters),
                vendor("parameters-1", "lists all parameters but that of every vendor", "kernelParameters", call -> {
                            List<Object> all = new ArrayList<>((List<?>) call.proceed());
                            all.remove(KernelParameter.EVERY_UNIT_OFF);
                            return all;
                        })
                        .on(Offers::parameters),
                described("parameters-2", "has both values of a parameter", all -> {
                            List<KernelParameter> both = new ArrayList<>(all.parameters());
                            KernelParameter first = both.get(0);
                            both.add(new KernelParameter(
                                    first.parameter(), "not_" + first.value(), first.effect(), GENERAL));
                            return with(all, all.units(), all.devices(), both, all.warnings());
                        })
                        .on(Offers::parameters),
                described("parameters-2", "has a parameter twice", all -> {
                            List<KernelParameter> twice = new ArrayList<>(all.parameters());
                            KernelParameter last = twice.get(twice.size() - 1);
                            twice.add(new KernelParameter(last.parameter(), last.value(), last.effect(), GENERAL));
                            return with(all, all.units(), all.devices(), twice, all.warnings());
                        })
                        .on(Offers::parameters),
                vendor("supports-1", "supports every release", "supports", call -> true),
                vendor(
                        "supports-1",
                        "supports no stable kernel",
                        "supports",
                        call -> call.argument(0, LinuxRelease.class).patch() == 0 && (boolean) call.proceed()),
                vendor(
                        "supports-1",
                        "supports not the oldest release",
                        "supports",
                        call -> !call.argument(0, LinuxRelease.class)
                                        .equals(LinuxRelease.known().get(0))
                                && (boolean) call.proceed()),
                vendor("rules-1", "lists a rule twice", "releaseRules", call -> {
                            List<Object> rules = new ArrayList<>((List<?>) call.proceed());
                            rules.add(rules.get(0));
                            return rules;
                        })
                        .on(Offers::rules),
                Saboteur.of("rules-1", "lists its rules the first time only", () -> {
                            AtomicInteger times = new AtomicInteger();
                            return List.of(new Interposer.Change(
                                    IommuVendor.class,
                                    "releaseRules",
                                    call -> times.getAndIncrement() == 0 ? call.proceed() : List.of()));
                        })
                        .on(Offers::rules),
                vendor("rules-1", "lists no rule", "releaseRules", call -> List.of())
                        .where(traits -> traits.enforcement() == Traits.Enforcement.GRANTED));
    }

    private static List<Saboteur> descriptions() {
        return List.of(
                vendor("describe-1", "writes to a function", "describe", call -> {
                    List<PciFunction> functions =
                            call.argument(0, HostFacts.class).topology().functions();
                    if (!functions.isEmpty()) {
                        functions.get(0).config().write(4, 2, 6);
                    }
                    return call.proceed();
                }),
                Saboteur.of("describe-1", "describes a host differently every second time", () -> {
                    AtomicInteger times = new AtomicInteger();
                    return List.of(new Interposer.Change(IommuVendor.class, "describe", call -> {
                        HostDescription all = (HostDescription) call.proceed();
                        return times.getAndIncrement() % 2 == 0
                                ? all
                                : with(all, all.units(), all.devices(), all.parameters(), List.of("again"));
                    }));
                }),
                units(
                                "describe-2",
                                "guesses that a unit has every function",
                                unit -> unit.includeAll() == Answer.UNKNOWN
                                        ? new UnitDescription(
                                                unit.id(),
                                                unit.segment(),
                                                OptionalLong.of(0xfed90000L),
                                                Answer.NO,
                                                unit.scope(),
                                                unit.abilities(),
                                                unit.registers(),
                                                unit.fields())
                                        : unit)
                        .on(Offers::shownUnits),
                eachDevice(
                                "describe-2",
                                "guesses that no unit translates",
                                device -> device(
                                        device,
                                        device.translated() == Answer.UNKNOWN ? Answer.NO : device.translated(),
                                        device.enforceCacheCoherency(),
                                        device.reasons(),
                                        device.isolatedInterrupts()))
                        .on(Offers::shownUnits),
                eachDevice(
                                "describe-2",
                                "guesses that there are no regions",
                                device -> device.reservedRegions() == null ? regions(device, List.of()) : device)
                        .on(Offers::shownUnits),
                eachDevice(
                                "describe-2",
                                "guesses that interrupts are not isolated",
                                device -> device(
                                        device,
                                        device.translated(),
                                        device.enforceCacheCoherency(),
                                        device.reasons(),
                                        device.isolatedInterrupts() == Answer.UNKNOWN
                                                ? Answer.NO
                                                : device.isolatedInterrupts()))
                        .on(Offers::shownUnits),
                vendor("describe-2", "invents a register that was not read", "describe", call -> {
                    HostDescription all = (HostDescription) call.proceed();
                    boolean unread = all.units().stream()
                            .anyMatch(unit -> unit.registers().isEmpty());
                    return !unread
                            ? all
                            : with(
                                    all,
                                    all.units().stream()
                                            .map(unit -> new UnitDescription(
                                                    unit.id(),
                                                    unit.segment(),
                                                    unit.registerBase(),
                                                    unit.includeAll(),
                                                    unit.scope(),
                                                    unit.abilities(),
                                                    Map.of("VER", 0x7777L),
                                                    unit.fields()))
                                            .toList(),
                                    all.devices(),
                                    all.parameters(),
                                    all.warnings());
                }),
                vendor("describe-3", "ignores links", "describe", call -> {
                            HostFacts facts = call.argument(0, HostFacts.class);
                            return call.with(
                                            0,
                                            new HostFacts(
                                                    facts.firmware(),
                                                    facts.topology(),
                                                    facts.registers(),
                                                    facts.shownUnits(),
                                                    Map.of(),
                                                    facts.groups(),
                                                    facts.bootOptions(),
                                                    facts.stated()))
                                    .proceed();
                        })
                        .on(Offers::shownUnits),
                vendor("describe-3", "ignores units that only Linux shows", "describe", call -> {
                            HostFacts facts = call.argument(0, HostFacts.class);
                            TreeMap<String, ShownUnit> some = new TreeMap<>(facts.shownUnits());
                            some.keySet().removeIf(name -> name.endsWith("7"));
                            return call.with(
                                            0,
                                            new HostFacts(
                                                    facts.firmware(),
                                                    facts.topology(),
                                                    facts.registers(),
                                                    some,
                                                    facts.unitLinks(),
                                                    facts.groups(),
                                                    facts.bootOptions(),
                                                    facts.stated()))
                                    .proceed();
                        })
                        .on(Offers::shownUnits),
                warnings("describe-3", "does not warn where Linux has another unit", "in this Linux")
                        .on(Offers::shownUnits),
                warnings("describe-3", "does not warn of a unit that only Linux shows", "this Linux shows")
                        .on(Offers::shownUnits),
                warnings("describe-4", "does not warn of a wrong checksum", "checksum"),
                vendor("describe-4", "refuses a table with a wrong checksum", "describe", call -> {
                    if (damaged(call.argument(0, HostFacts.class).firmware())) {
                        throw new MalformedTableException("DMAR", 9, "the checksum is wrong");
                    }
                    return call.proceed();
                }),
                described("describe-4", "always warns of the checksum", all -> {
                    List<String> warnings = new ArrayList<>(all.warnings());
                    warnings.removeIf(warning -> warning.contains("checksum"));
                    warnings.add("the checksum may be wrong");
                    return with(all, all.units(), all.devices(), all.parameters(), warnings);
                }),
                units(
                        "describe-5",
                        "numbers units from 1",
                        unit -> new UnitDescription(
                                unit.id().replace('0', '1'),
                                unit.segment(),
                                unit.registerBase(),
                                unit.includeAll(),
                                unit.scope(),
                                unit.abilities(),
                                unit.registers(),
                                unit.fields())),
                units(
                        "describe-5",
                        "has registers a page too high",
                        unit -> new UnitDescription(
                                unit.id(),
                                unit.segment(),
                                unit.registerBase().isPresent()
                                        ? OptionalLong.of(unit.registerBase().getAsLong() + 4096)
                                        : OptionalLong.empty(),
                                unit.includeAll(),
                                unit.scope(),
                                unit.abilities(),
                                unit.registers(),
                                unit.fields())),
                described("describe-5", "has an empty unit first", all -> {
                    List<UnitDescription> more = new ArrayList<>(all.units());
                    if (!more.isEmpty()) {
                        UnitDescription unit = more.get(0);
                        more.add(
                                0,
                                new UnitDescription(
                                        "zz0",
                                        unit.segment(),
                                        unit.registerBase(),
                                        Answer.NO,
                                        List.of(),
                                        unit.abilities(),
                                        Map.of(),
                                        Map.of()));
                    }
                    return with(all, more, all.devices(), all.parameters(), all.warnings());
                }),
                devices(
                                "describe-6",
                                "leaves out functions that no unit translates",
                                all -> all.stream()
                                        .filter(device -> device.translated() != Answer.NO)
                                        .toList())
                        .on(Offers::untranslatedFunctions),
                devices("describe-6", "has the last function twice", all -> {
                    List<DeviceDescription> more = new ArrayList<>(all);
                    if (!more.isEmpty()) {
                        more.add(more.get(more.size() - 1));
                    }
                    return more;
                }),
                devices(
                        "describe-6",
                        "leaves out the last function",
                        all -> all.isEmpty() ? all : all.subList(0, all.size() - 1)),
                eachDevice(
                                "describe-6",
                                "gives no reason where it does not know",
                                device -> device.translated() == Answer.YES
                                        ? device
                                        : device(
                                                device,
                                                device.translated(),
                                                device.enforceCacheCoherency(),
                                                List.of(),
                                                device.isolatedInterrupts()))
                        .on(Offers::shownUnits),
                eachDevice("describe-6", "gives a reason that decides nothing first", device -> {
                    List<Reason> reasons = new ArrayList<>(device.reasons());
                    reasons.add(0, GENERAL);
                    return device(
                            device,
                            device.translated(),
                            device.enforceCacheCoherency(),
                            reasons,
                            device.isolatedInterrupts());
                }),
                eachDevice("describe-6", "has regions in another order", device -> {
                            if (device.reservedRegions() == null) {
                                return device;
                            }
                            List<ReservedRegion> reversed = new ArrayList<>(device.reservedRegions());
                            Collections.reverse(reversed);
                            return regions(device, reversed);
                        })
                        .on(Offers::severalRegions),
                eachDevice(
                        "describe-7",
                        "has all interrupts isolated but not those of the driver",
                        device -> device(
                                device,
                                device.translated(),
                                device.enforceCacheCoherency(),
                                device.reasons(),
                                device.isolatedInterrupts() == Answer.YES ? Answer.NO : Answer.YES)),
                eachDevice(
                        "describe-7",
                        "has no-snoop of devices below a bridge not blocked",
                        device -> device(
                                device,
                                device.translated(),
                                device.id().toString().endsWith("01:00.0") ? Answer.NO : device.enforceCacheCoherency(),
                                device.reasons(),
                                device.isolatedInterrupts())),
                eachDevice(
                        "describe-7",
                        "leaves out the last region",
                        device -> device.reservedRegions() == null
                                        || device.reservedRegions().isEmpty()
                                ? device
                                : regions(
                                        device,
                                        device.reservedRegions()
                                                .subList(
                                                        0,
                                                        device.reservedRegions().size() - 1))),
                eachDevice(
                        "describe-7",
                        "has the second GPU untranslated",
                        device -> device.id().toString().endsWith("02:00.0")
                                ? device(device, Answer.NO, Answer.NO, device.reasons(), device.isolatedInterrupts())
                                : device));
    }

    private static Saboteur warnings(String promise, String about, String word) {
        return described(
                promise,
                about,
                all -> with(
                        all,
                        all.units(),
                        all.devices(),
                        all.parameters(),
                        all.warnings().stream()
                                .filter(warning -> !warning.contains(word))
                                .toList()));
    }

    private static List<Saboteur> refusals() {
        return List.of(
                vendor("describe-8", "throws another exception for a malformed table", "describe", call -> {
                    try {
                        return call.proceed();
                    } catch (MalformedTableException e) {
                        throw new IllegalArgumentException(e.getMessage(), e);
                    }
                }),
                vendor("describe-8", "runs over the end of a short table", "describe", call -> {
                    Optional<byte[]> table =
                            table(call.argument(0, HostFacts.class).firmware());
                    if (table.isPresent() && table.get()[39] == 0) {
                        return call.proceed();
                    }
                    return call.proceed();
                }),
                Saboteur.of("describe-8", "describes nothing where the table is malformed", () -> {
                    AtomicReference<HostDescription> last = new AtomicReference<>();
                    return List.of(new Interposer.Change(IommuVendor.class, "describe", call -> {
                        try {
                            HostDescription all = (HostDescription) call.proceed();
                            last.set(all);
                            return all;
                        } catch (MalformedTableException e) {
                            return last.get() == null
                                    ? new HostDescription(
                                            "x", CoherencyRule.NEVER, List.of(), List.of(), List.of(), List.of())
                                    : last.get();
                        }
                    }));
                }),
                vendor("describe-9", "calls a host without anything of its own malformed", "describe", call -> {
                    try {
                        return call.proceed();
                    } catch (IllegalArgumentException e) {
                        throw new MalformedTableException("DMAR", 0, "nothing is there");
                    }
                }),
                vendor("describe-9", "describes a host without anything of its own", "describe", call -> {
                    try {
                        return call.proceed();
                    } catch (MalformedTableException e) {
                        throw e;
                    } catch (IllegalArgumentException e) {
                        return new HostDescription(
                                "x", CoherencyRule.NEVER, List.of(), List.of(), List.of(), List.of());
                    }
                }),
                vendor(
                        "describe-9",
                        "describes by the newest rules where it has none",
                        "describe",
                        call -> call.target(IommuVendor.class).supports(call.argument(1, LinuxRelease.class))
                                ? call.proceed()
                                : call.with(1, LinuxRelease.NEWEST).proceed()));
    }

    private static Saboteur errno(String promise, String about, Errno from, Errno to) {
        return vendor(promise, about, "open", swap(from, to));
    }

    /** Keeps a frame when opening fails in one way. */
    private static Saboteur leak(String promise, Errno errno) {
        return vendor(
                promise,
                "keeps a frame when opening fails with " + errno,
                "open",
                afterError(
                        List.of(errno),
                        call -> call.argument(0, VendorContext.class).frames().allocate(0)));
    }

    private static List<Saboteur> opening() {
        return List.of(
                vendor("open-1", "leaves the second device in an identity domain", "open", DriverSaboteurs.passing())
                        .where(Ability.IDENTITY),
                Saboteur.of("open-1", "goes on with what the last driver had", () -> {
                    Map<Object, Object> opened = new LinkedHashMap<>();
                    return List.of(new Interposer.Change(IommuVendor.class, "open", call -> {
                        Object memory = call.argument(0, VendorContext.class).memory();
                        Object last = opened.get(memory);
                        if (last != null) {
                            return last;
                        }
                        Object now = call.proceed();
                        opened.put(memory, now);
                        return now;
                    }));
                }),
                Saboteur.of("open-2", "has its tables in the frames of the first platform", () -> {
                    AtomicReference<VendorContext> first = new AtomicReference<>();
                    return List.of(new Interposer.Change(IommuVendor.class, "open", call -> {
                        VendorContext own = call.argument(0, VendorContext.class);
                        first.compareAndSet(null, own);
                        VendorContext shared = first.get();
                        return call.with(0, own.withFrames(shared.frames())).proceed();
                    }));
                }),
                Saboteur.of("open-2", "is one driver for all platforms", () -> {
                    AtomicReference<Object> first = new AtomicReference<>();
                    return List.of(new Interposer.Change(IommuVendor.class, "open", call -> {
                        if (first.get() == null) {
                            first.set(call.proceed());
                        }
                        return first.get();
                    }));
                }),
                errno("open-3", "has EINVAL for no unit", Errno.ENODEV, Errno.EINVAL),
                errno("open-3", "passes the platform's errno on", Errno.ENODEV, Errno.ENXIO),
                leak("open-3", Errno.ENODEV),
                errno("open-4", "has ENODEV for another driver's unit", Errno.EBUSY, Errno.ENODEV),
                leak("open-4", Errno.EBUSY),
                Saboteur.of("open-4", "sees another driver the first time only", () -> {
                    AtomicInteger times = new AtomicInteger();
                    return List.of(new Interposer.Change(
                            IommuVendor.class,
                            "open",
                            onError(
                                    (call, errno) -> errno == Errno.EBUSY && times.incrementAndGet() > 1,
                                    call -> refuse(Errno.ENODEV))));
                }),
                errno("open-5", "has ENODEV for a malformed table", Errno.EINVAL, Errno.ENODEV),
                vendor("open-5", "does not look at the checksum", "open", call -> {
                    VendorContext own = call.argument(0, VendorContext.class);
                    FirmwareTables right =
                            signature -> own.firmware().table(signature).map(VendorSaboteurs::summed);
                    return call.with(0, own.withFirmware(right)).proceed();
                }),
                errno("open-6", "has EINVAL for no memory", Errno.ENOMEM, Errno.EINVAL),
                leak("open-6", Errno.ENOMEM),
                errno("open-7", "has EIO for a unit that does not answer", Errno.ETIMEDOUT, Errno.EIO),
                errno("open-7", "has ENODEV for a unit that does not answer", Errno.ETIMEDOUT, Errno.ENODEV),
                leak("open-8", Errno.ETIMEDOUT),
                leak("open-8", Errno.ENOMEM),
                vendor("open-8", "keeps registers when opening fails", "open", call -> {
                    VendorContext own = call.argument(0, VendorContext.class);
                    Set<List<Long>> mapped = new HashSet<>();
                    VendorContext noting = own.withRegisters((base, size) -> {
                        mapped.add(List.of(base, (long) size));
                        return own.registers().map(base, size);
                    });
                    try {
                        return call.with(0, noting).proceed();
                    } catch (IommuException e) {
                        if (e.errno() == Errno.ETIMEDOUT) {
                            mapped.forEach(each ->
                                    own.registers().map(each.get(0), each.get(1).intValue()));
                        }
                        throw e;
                    }
                }),
                vendor("open-9", "throws what its parser throws", "open", call -> {
                    try {
                        return call.proceed();
                    } catch (IommuException e) {
                        if (e.getCause() instanceof MalformedTableException malformed) {
                            throw malformed;
                        }
                        throw e;
                    }
                }),
                vendor("open-9", "runs over the end of some tables", "open", call -> {
                    if (table(call.argument(0, VendorContext.class).firmware())
                            .filter(table -> table.length == 40)
                            .isPresent()) {
                        throw new ArrayIndexOutOfBoundsException(40);
                    }
                    return call.proceed();
                }),
                errno("open-9", "has an errno that is not listed", Errno.EINVAL, Errno.EFAULT),
                vendor("open-10", "opens by the newest rules where it has none", "open", call -> {
                    VendorContext own = call.argument(0, VendorContext.class);
                    return call.target(IommuVendor.class).supports(own.release())
                            ? call.proceed()
                            : call.with(0, own.withRelease(LinuxRelease.NEWEST)).proceed();
                }),
                vendor("open-10", "has an errno for a release that it does not know", "open", call -> {
                    try {
                        return call.proceed();
                    } catch (IllegalArgumentException e) {
                        throw new IommuException(Errno.EOPNOTSUPP, "unknown release", e);
                    }
                }));
    }

    private static byte[] summed(byte[] table) {
        if (table.length > 9) {
            table[9] = 0;
            int sum = 0;
            for (byte each : table) {
                sum += each;
            }
            table[9] = (byte) -sum;
        }
        return table;
    }

    private static List<Saboteur> logs() {
        return List.of(
                Saboteur.of("log-1", "tells a line the first time only", () -> {
                            Set<Object> told = new HashSet<>();
                            return List.of(new Interposer.Change(
                                    KernelLog.class,
                                    "read",
                                    call -> told.add(call.argument(0, String.class)) ? call.proceed() : null));
                        })
                        .on(Offers::printedLines),
                Saboteur.of("log-1", "reads no more after an odd line", () -> {
                            AtomicInteger odd = new AtomicInteger();
                            return List.of(new Interposer.Change(KernelLog.class, "read", call -> {
                                if (call.argument(0, String.class).indexOf('%') >= 0) {
                                    odd.incrementAndGet();
                                }
                                return odd.get() > 0 ? null : call.proceed();
                            }));
                        })
                        .on(Offers::printedLines),
                log("log-words-1", "has its first word in small letters", "words", call -> {
                            List<String> words = new ArrayList<>();
                            ((List<?>) call.proceed()).forEach(word -> words.add((String) word));
                            words.removeIf(word -> word.equals("DMAR") || word.equals("AMD-Vi"));
                            return List.copyOf(words);
                        })
                        .on(Offers::printedLines),
                log("log-words-1", "tells of lines without a word", "read", call -> {
                            String line = call.argument(0, String.class);
                            if (line.toLowerCase(Locale.ROOT).contains("remapping")) {
                                call.argument(1, KernelLog.Findings.class).interruptRemapping(true);
                                return null;
                            }
                            return call.proceed();
                        })
                        .on(Offers::printedLines),
                log("log-words-2", "has a word of three characters", "words", call -> {
                    List<Object> words = new ArrayList<>((List<?>) call.proceed());
                    words.add("MMU");
                    return List.copyOf(words);
                }),
                log("log-words-2", "has a word of spaces", "words", call -> {
                    List<Object> words = new ArrayList<>((List<?>) call.proceed());
                    words.add(" x  ");
                    return List.copyOf(words);
                }),
                log("log-words-2", "reads words in small letters too", "read", call -> {
                            String line = call.argument(0, String.class);
                            return call.with(0, line.replace("dmar", "DMAR").replace("amd-vi", "AMD-Vi"))
                                    .proceed();
                        })
                        .on(Offers::printedLines),
                log("log-read-1", "does not bear long lines", "read", call -> {
                    if (call.argument(0, String.class).length() > 8000) {
                        throw new StackOverflowError();
                    }
                    return call.proceed();
                }),
                log("log-read-1", "reads too large a number", "read", call -> {
                            if (call.argument(0, String.class).contains("0xffffffffffffffffff")) {
                                throw new NumberFormatException("ffffffffffffffffff");
                            }
                            return call.proceed();
                        })
                        .on(Offers::printedLines),
                log("log-read-1", "tells nothing", "read", call -> null).on(Offers::printedLines),
                log(
                                "log-read-1",
                                "reads only lines that begin with a word",
                                "read",
                                call -> call.argument(0, String.class).startsWith("host ") ? null : call.proceed())
                        .on(Offers::printedLines));
    }
}
