// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import static org.iommu4j.it.tck.Handlers.caught;
import static org.iommu4j.it.tck.Handlers.onError;
import static org.iommu4j.it.tck.Handlers.refuse;
import static org.iommu4j.it.tck.Handlers.swap;
import static org.iommu4j.it.tck.Saboteur.onceClosed;

import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import org.iommu4j.DecisionSource;
import org.iommu4j.DmaFault;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.HardwareInfo;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.LinuxRelease;
import org.iommu4j.ReservedRegion;
import org.iommu4j.capability.PageRequests;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.it.tck.Interposer.Change;
import org.iommu4j.it.tck.Interposer.Handler;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.RegisterSpace;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.VendorContext;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Traits.Enforcement;

/** Drivers and devices that are wrong. */
final class DriverSaboteurs {
    private static final NamedDevice UNKNOWN = new NamedDevice("\\_SB.NONE");

    private DriverSaboteurs() {}

    static List<Saboteur> all() {
        return Saboteur.all(
                opening(),
                probing(),
                named(),
                capabilities(),
                allocating(),
                flags(),
                faults(),
                quarantine(),
                closing(),
                devices());
    }

    private static Saboteur of(String promise, String about, String method, Handler handler) {
        return Saboteur.of(promise, about, Iommu.class, method, handler);
    }

    private static Saboteur with(String promise, String about, String method, Supplier<Handler> handler) {
        return Saboteur.with(promise, about, Iommu.class, method, handler);
    }

    private static Saboteur device(String promise, String about, String method, Handler handler) {
        return Saboteur.of(promise, about, IommuDevice.class, method, handler);
    }

    private static IommuDevice copy(IommuDevice device) {
        return (IommuDevice) Proxy.newProxyInstance(
                DriverSaboteurs.class.getClassLoader(),
                new Class<?>[] {IommuDevice.class},
                (self, method, arguments) -> method.invoke(device, arguments));
    }

    /** Opens, and lets the last device pass. */
    static Handler passing() {
        return call -> {
            Iommu iommu = (Iommu) call.proceed();
            List<PciFunction> functions =
                    call.argument(0, VendorContext.class).topology().functions();
            PciFunction last = functions.get(functions.size() - 1);
            IommuDevice device = iommu.probe(last, last.address().requesterId()).orElseThrow();
            iommu.allocate(DomainType.IDENTITY, device).attach(device);
            return iommu;
        };
    }

    @SuppressWarnings("ThreadPriorityCheck") // the other thread is to come in between
    private static List<Saboteur> opening() {
        return List.of(
                Saboteur.of("driver-1", "lets one device pass from the start", IommuVendor.class, "open", passing())
                        .where(Ability.IDENTITY),
                Saboteur.of(
                        "driver-2",
                        "says that a driver is missing, not that there is one",
                        IommuVendor.class,
                        "open",
                        swap(Errno.EBUSY, Errno.ENODEV)),
                Saboteur.with("driver-2", "gives the first driver out again", IommuVendor.class, "open", () -> {
                    Object[] first = new Object[1];
                    Handler again = caught(Errno.EBUSY, () -> first[0]);
                    return call -> first[0] = again.handle(call);
                }),
                with("driver-3", "allocates for one thread at a time, and refuses another", "allocate", () -> {
                    AtomicBoolean busy = new AtomicBoolean();
                    return call -> {
                        if (!busy.compareAndSet(false, true)) {
                            return refuse(Errno.EBUSY);
                        }
                        try {
                            Thread.yield();
                            return call.proceed();
                        } finally {
                            busy.set(false);
                        }
                    };
                }),
                with("driver-3", "serves the thread that came first", "probe", () -> {
                    Thread[] first = new Thread[1];
                    return call -> {
                        first[0] = first[0] == null ? Thread.currentThread() : first[0];
                        return first[0] == Thread.currentThread() ? call.proceed() : Optional.empty();
                    };
                }),
                of(
                        "driver-vendor-1",
                        "writes its name large",
                        "vendor",
                        call -> call.proceed().toString().toUpperCase(Locale.ROOT)),
                with("driver-vendor-1", "forgets its name", "vendor", () -> {
                    AtomicInteger count = new AtomicInteger();
                    return call -> count.getAndIncrement() == 0 ? call.proceed() : "";
                }),
                of("driver-release-1", "names the newest release", "release", call -> LinuxRelease.NEWEST),
                with("shares-ops-1", "says otherwise at the second time", "sharesOps", () -> {
                    AtomicInteger count = new AtomicInteger();
                    return call -> count.getAndIncrement() == 0 == (boolean) call.proceed();
                }),
                of("units-1", "numbers its units", "units", call -> List.of("unit0")),
                of("units-1", "names a unit twice", "units", call -> {
                    List<Object> units = new ArrayList<>((List<?>) call.proceed());
                    units.add(units.get(0));
                    return units;
                }),
                of("units-1", "names its units backwards", "units", call -> {
                            List<Object> units = new ArrayList<>((List<?>) call.proceed());
                            Collections.reverse(units);
                            return units;
                        })
                        .where(Ability.INCOMPATIBLE));
    }

    private static List<Saboteur> probing() {
        return List.of(
                of(
                        "probe-1",
                        "makes a device anew",
                        "probe",
                        call -> ((Optional<?>) call.proceed()).map(device -> copy((IommuDevice) device))),
                with("probe-1", "knows a function by its object", "probe", () -> {
                    Map<PciAddress, PciFunction> known = new HashMap<>();
                    return call -> {
                        Object found = call.proceed();
                        if (!(call.argument(0, Object.class) instanceof PciFunction function)) {
                            return found;
                        }
                        Object first = known.computeIfAbsent(function.address(), address -> function);
                        return first == function
                                ? found
                                : ((Optional<?>) found).map(device -> copy((IommuDevice) device));
                    };
                }),
                of(
                        "probe-2",
                        "knows no alias",
                        "probe",
                        call -> call.count() < 2 || call.argument(1, int[].class).length < 2
                                ? call.proceed()
                                : call.with(1, new int[] {call.argument(1, int[].class)[0]})
                                        .proceed()),
                of(
                        "probe-2",
                        "knows two aliases",
                        "probe",
                        call -> call.count() < 2 || call.argument(1, int[].class).length < 3
                                ? call.proceed()
                                : call.with(1, Arrays.copyOf(call.argument(1, int[].class), 2))
                                        .proceed()),
                of("probe-2", "knows the first alias and the last", "probe", call -> {
                    if (call.count() < 2 || call.argument(1, int[].class).length < 3) {
                        return call.proceed();
                    }
                    int[] all = call.argument(1, int[].class);
                    return call.with(1, new int[] {all[0], all[all.length - 1]}).proceed();
                }),
                with("probe-3", "refuses an alias that it has seen", "probe", () -> {
                    Map<Integer, Object> seen = new HashMap<>();
                    return call -> {
                        if (call.count() == 2) {
                            Object id = call.argument(0, PciFunction.class).address();
                            for (int alias : call.argument(1, int[].class)) {
                                Object before = seen.putIfAbsent(alias, id);
                                if (before != null && !before.equals(id)) {
                                    return refuse(Errno.EINVAL);
                                }
                            }
                        }
                        return call.proceed();
                    };
                }),
                with("probe-4", "takes any function for the last one", "probe", () -> {
                    Object[] last = {Optional.empty()};
                    return call -> {
                        Object found = call.proceed();
                        last[0] = ((Optional<?>) found).isPresent() ? found : last[0];
                        return last[0];
                    };
                }),
                of("probe-4", "refuses a function that is not its own", "probe", call -> {
                    Object found = call.proceed();
                    return ((Optional<?>) found).isPresent() || call.argument(0, Object.class) instanceof NamedDevice
                            ? found
                            : refuse(Errno.ENODEV);
                }),
                of("probe-5", "finds nothing when it is closed", "probe", caught(Errno.ENODEV, Optional::empty)),
                of("probe-5", "is busy when it is closed", "probe", swap(Errno.ENODEV, Errno.EBUSY)),
                of("probe-6", "has no device without a frame", "probe", caught(Errno.ENOMEM, Optional::empty))
                        .where(traits -> traits.enforcement() == Enforcement.GRANTED),
                of("probe-6", "says that it failed", "probe", swap(Errno.ENOMEM, Errno.EIO))
                        .where(traits -> traits.enforcement() == Enforcement.GRANTED));
    }

    private static Handler atUnknown(Supplier<Object> instead) {
        return call -> UNKNOWN.equals(call.argument(0, Object.class)) ? instead.get() : call.proceed();
    }

    private static List<Saboteur> named() {
        return List.of(
                with("probe-named-1", "has a device of any name", "probe", DriverSaboteurs::anyName),
                with("probe-named-2", "has a device of any name", "probe", DriverSaboteurs::anyName),
                of("probe-named-2", "refuses a name", "probe", atUnknown(() -> refuse(Errno.ENODEV))),
                of("probe-named-3", "refuses a name, where it has none", "probe", atUnknown(() -> refuse(Errno.ENODEV)))
                        .where(traits -> !traits.has(Ability.NAMED_DEVICES)),
                of("probe-named-4", "has no frame for a name", "probe", atUnknown(() -> refuse(Errno.ENOMEM)))
                        .where(traits -> !traits.has(Ability.NAMED_DEVICES)));
    }

    private static Handler anyName() {
        Object[] last = {Optional.empty()};
        return call -> {
            Object found = call.proceed();
            if (((Optional<?>) found).isPresent()) {
                last[0] = found;
            }
            return call.argument(0, Object.class) instanceof NamedDevice ? last[0] : found;
        };
    }

    private static List<Saboteur> capabilities() {
        return List.of(
                with("capable-1", "changes its mind", "capable", () -> {
                    AtomicInteger count = new AtomicInteger();
                    return call -> count.incrementAndGet() == 20 ? !(boolean) call.proceed() : call.proceed();
                }),
                Saboteur.of("capable-1", "can less when it is closed", () -> {
                    AtomicBoolean closed = new AtomicBoolean();
                    return List.of(
                            new Change(Iommu.class, "close", call -> {
                                closed.set(true);
                                return call.proceed();
                            }),
                            new Change(Iommu.class, "capable", call -> !closed.get() && (boolean) call.proceed()));
                }),
                of("capable-2", "can nothing for a stranger", "capable", caught(Errno.ENODEV, () -> false)),
                of("capable-2", "finds a stranger invalid", "capable", swap(Errno.ENODEV, Errno.EINVAL)),
                of(
                        "capability-source-1",
                        "names a rule that nobody declares",
                        "enforcementCapabilitySource",
                        call -> Optional.of(
                                DecisionSource.of(call.target(Iommu.class).vendor(), "decide", "noSuchRule"))),
                of(
                        "capability-source-1",
                        "has another's name",
                        "enforcementCapabilitySource",
                        call -> Optional.of(DecisionSource.of("another", "decide"))));
    }

    private static List<Saboteur> allocating() {
        return List.of(
                of("allocate-1", "attaches the device", "allocate", call -> {
                    IommuDomain domain = (IommuDomain) call.proceed();
                    domain.attach(call.argument(1, IommuDevice.class));
                    return domain;
                }),
                of(
                        "allocate-1",
                        "makes a domain of another type",
                        "allocate",
                        call -> call.argument(0, Object.class) == DomainType.DMA
                                ? call.with(0, DomainType.UNMANAGED).proceed()
                                : call.proceed()),
                with("allocate-2", "makes one more now and then", "allocate", () -> {
                    AtomicInteger count = new AtomicInteger();
                    return call -> {
                        if (count.incrementAndGet() % 211 == 0 && call.count() == 2) {
                            call.target(Iommu.class)
                                    .allocate(DomainType.UNMANAGED, call.argument(1, IommuDevice.class));
                        }
                        return call.proceed();
                    };
                }),
                of("allocate-3", "takes frames for ids", "allocate", swap(Errno.ENOMEM, Errno.ENOSPC)),
                of(
                        "allocate-3",
                        "has a blocked domain where frames lack",
                        "allocate",
                        onError(
                                List.of(Errno.ENOMEM),
                                call -> call.target(Iommu.class)
                                        .allocate(DomainType.BLOCKED, call.argument(1, IommuDevice.class)))),
                of("allocate-4", "takes ids for frames", "allocate", swap(Errno.ENOSPC, Errno.ENOMEM))
                        .where(Ability.ID_PER_DOMAIN),
                of("allocate-5", "finds a type invalid", "allocate", swap(Errno.EOPNOTSUPP, Errno.EINVAL)),
                of(
                        "allocate-5",
                        "makes a blocked domain for a nested one",
                        "allocate",
                        call -> call.argument(0, Object.class) == DomainType.NESTED
                                ? call.with(0, DomainType.BLOCKED).proceed()
                                : call.proceed()),
                of("allocate-6", "finds a stranger invalid", "allocate", swap(Errno.ENODEV, Errno.EINVAL)));
    }

    private static List<Saboteur> flags() {
        Handler ignoring = call -> call.count() == 3
                ? call.target(Iommu.class)
                        .allocate(call.argument(0, DomainType.class), call.argument(1, IommuDevice.class))
                : call.proceed();
        return List.of(
                of(
                        "allocate-flags-1",
                        "has no domain without a flag",
                        "allocate",
                        call -> call.count() == 3 && call.argument(2, Set.class).isEmpty()
                                ? refuse(Errno.EINVAL)
                                : call.proceed()),
                of(
                        "allocate-flags-1",
                        "makes a blocked domain without flags",
                        "allocate",
                        call -> call.count() == 3 && call.argument(2, Set.class).isEmpty()
                                ? call.target(Iommu.class)
                                        .allocate(DomainType.BLOCKED, call.argument(1, IommuDevice.class))
                                : call.proceed()),
                of(
                        "allocate-user-1",
                        "makes a blocked domain for users",
                        "allocateForUser",
                        call -> call.target(Iommu.class)
                                .allocate(DomainType.BLOCKED, call.argument(0, IommuDevice.class))),
                of(
                        "allocate-user-2",
                        "finds another driver's device invalid",
                        "allocateForUser",
                        swap(Errno.ENODEV, Errno.EINVAL)),
                with("blocks-first-2", "changes its mind about blocking first", "blocksBeforeAttach", () -> {
                    AtomicInteger count = new AtomicInteger();
                    return call -> count.getAndIncrement() == 0 ? call.proceed() : !(boolean) call.proceed();
                }),
                of("nests-1", "denies that it nests", "nests", call -> false)
                        .where(traits -> traits.has(Ability.NESTING)),
                of("allocate-flags-2", "ignores flags", "allocate", ignoring),
                of("allocate-flags-2", "finds a flag invalid", "allocate", swap(Errno.EOPNOTSUPP, Errno.EINVAL)),
                of(
                        "allocate-flags-3",
                        "ignores flags of other types",
                        "allocate",
                        call -> call.count() == 3 && call.argument(0, Object.class) != DomainType.UNMANAGED
                                ? ignoring.handle(call)
                                : call.proceed()));
    }

    private static Saboteur report(String about, UnaryOperator<DmaFault> change) {
        return of(
                        "faults-2",
                        about,
                        "takeFaults",
                        call -> ((List<?>) call.proceed())
                                .stream()
                                        .map(fault -> change.apply((DmaFault) fault))
                                        .toList())
                .where(Ability.FAULT_REPORTS);
    }

    private static Saboteur reports(String about, UnaryOperator<List<Object>> change) {
        return of("faults-1", about, "takeFaults", call -> change.apply(new ArrayList<>((List<?>) call.proceed())))
                .where(Ability.FAULT_REPORTS);
    }

    private static List<Saboteur> faults() {
        return List.of(
                reports(
                        "loses the last of several",
                        faults -> faults.size() > 1 ? faults.subList(0, faults.size() - 1) : faults),
                reports("reports the newest first", faults -> {
                    Collections.reverse(faults);
                    return faults;
                }),
                reports("reports each twice", faults -> {
                    faults.addAll(List.copyOf(faults));
                    return faults;
                }),
                with("faults-1", "reports again what was reported", "takeFaults", () -> {
                            Object[] last = {List.of()};
                            return call -> {
                                List<?> found = (List<?>) call.proceed();
                                Object answer = found.isEmpty() ? last[0] : found;
                                last[0] = found;
                                return answer;
                            };
                        })
                        .where(Ability.FAULT_REPORTS),
                report(
                        "names another unit",
                        fault -> new DmaFault(
                                "unit",
                                fault.requester(),
                                fault.pasid(),
                                fault.address(),
                                fault.write(),
                                fault.reason(),
                                fault.description())),
                report(
                        "names the device by its id",
                        fault -> new DmaFault(
                                fault.unit(),
                                new NamedDevice("source-id:0x1"),
                                fault.pasid(),
                                fault.address(),
                                fault.write(),
                                fault.reason(),
                                fault.description())),
                report(
                        "reports PASID 0",
                        fault -> new DmaFault(
                                fault.unit(),
                                fault.requester(),
                                0,
                                fault.address(),
                                fault.write(),
                                fault.reason(),
                                fault.description())),
                report(
                                "forgets PASIDs",
                                fault -> new DmaFault(
                                        fault.unit(),
                                        fault.requester(),
                                        DmaFault.NO_PASID,
                                        fault.address(),
                                        fault.write(),
                                        fault.reason(),
                                        fault.description()))
                        .where(Ability.FAULT_PASIDS),
                report(
                        "reports 32 bits of an address",
                        fault -> new DmaFault(
                                fault.unit(),
                                fault.requester(),
                                fault.pasid(),
                                fault.address() & 0xffffffffL,
                                fault.write(),
                                fault.reason(),
                                fault.description())),
                report(
                        "takes writes for reads",
                        fault -> new DmaFault(
                                fault.unit(),
                                fault.requester(),
                                fault.pasid(),
                                fault.address(),
                                false,
                                fault.reason(),
                                fault.description())),
                report(
                        "has no reason",
                        fault -> new DmaFault(
                                fault.unit(),
                                fault.requester(),
                                fault.pasid(),
                                fault.address(),
                                fault.write(),
                                0,
                                fault.description())),
                report(
                        "has no words",
                        fault -> new DmaFault(
                                fault.unit(),
                                fault.requester(),
                                fault.pasid(),
                                fault.address(),
                                fault.write(),
                                fault.reason(),
                                "")),
                of("faults-3", "never says that refusals were lost", "faultOverflows", call -> 0L)
                        .where(Ability.FAULT_REPORTS),
                with("faults-3", "counts anew after each question", "faultOverflows", () -> {
                            long[] seen = new long[1];
                            return call -> {
                                long now = (long) call.proceed();
                                long answer = now - seen[0];
                                seen[0] = now;
                                return answer;
                            };
                        })
                        .where(Ability.FAULT_REPORTS),
                of("faults-3", "counts what is none", "faultOverflows", call -> 1L + (long) call.proceed()),
                of("faults-4", "reports no more after an overflow", "takeFaults", call -> {
                            List<?> found = (List<?>) call.proceed();
                            return call.target(Iommu.class).faultOverflows() > 0 && found.size() < 5
                                    ? List.of()
                                    : found;
                        })
                        .where(Ability.FAULT_REPORTS));
    }

    private static List<Saboteur> quarantine() {
        return List.of(
                of("quarantine-1", "counts none", "quarantinedFrames", call -> 0L)
                        .where(Ability.COMPLETION),
                of("quarantine-1", "counts one more", "quarantinedFrames", call -> 1L + (long) call.proceed()),
                of("quarantine-1", "counts half", "quarantinedFrames", call -> (long) call.proceed() / 2)
                        .where(Ability.COMPLETION),
                onceClosed(
                                "quarantine-2",
                                "counts none when it is closed",
                                Iommu.class,
                                "quarantinedFrames",
                                call -> 0L)
                        .where(Ability.COMPLETION),
                onceClosed(
                        "quarantine-2",
                        "refuses to count when it is closed",
                        Iommu.class,
                        "quarantinedFrames",
                        call -> refuse(Errno.ENODEV)));
    }

    /** Changes the calls of one method while a driver is being closed. */
    private static Saboteur whileClosing(String promise, String about, Class<?> type, String method, Handler during) {
        return Saboteur.of(promise, about, () -> {
            AtomicBoolean closing = new AtomicBoolean();
            return List.of(
                    new Change(Iommu.class, "close", call -> {
                        closing.set(true);
                        try {
                            return call.proceed();
                        } finally {
                            closing.set(false);
                        }
                    }),
                    new Change(type, method, call -> closing.get() ? during.handle(call) : call.proceed()));
        });
    }

    private static List<Saboteur> closing() {
        return List.of(
                whileClosing("driver-close-1", "frees nothing", FrameAllocator.class, "free", call -> null),
                whileClosing("driver-close-1", "leaves translation on", RegisterWindow.class, "write32", call -> null)
                        .where(traits -> traits.enforcement() == Enforcement.GRANTED),
                whileClosing("driver-close-1", "leaves domains' tables", FrameAllocator.class, "free", call -> null),
                onceClosed(
                                "driver-close-2",
                                "counts half of what it keeps",
                                Iommu.class,
                                "quarantinedFrames",
                                call -> (long) call.proceed() / 2)
                        .where(Ability.COMPLETION),
                with("driver-close-3", "refuses to be closed again", "close", () -> {
                    Set<Object> closed = Collections.newSetFromMap(new IdentityHashMap<>());
                    return call -> {
                        if (closed.contains(call.target(Iommu.class))) {
                            return refuse(Errno.ENODEV);
                        }
                        call.proceed();
                        closed.add(call.target(Iommu.class));
                        return null;
                    };
                }),
                Saboteur.of("driver-close-3", "releases the next driver's registers when it is closed again", () -> {
                    Set<Object> closed = Collections.newSetFromMap(new IdentityHashMap<>());
                    RegisterWindow[] last = new RegisterWindow[1];
                    return List.of(
                            new Change(RegisterSpace.class, "map", call -> {
                                last[0] = (RegisterWindow) call.proceed();
                                return last[0];
                            }),
                            new Change(Iommu.class, "close", call -> {
                                if (closed.contains(call.target(Iommu.class))) {
                                    last[0].write64(0x18, 0);
                                    last[0].write32(0x18, 0);
                                }
                                call.proceed();
                                closed.add(call.target(Iommu.class));
                                return null;
                            }));
                }),
                onceClosed(
                        "driver-close-4",
                        "translates in a closed domain",
                        IommuDomain.class,
                        "translate",
                        call -> IommuDomain.UNMAPPED),
                onceClosed("driver-close-4", "unmaps in a closed domain", IommuDomain.class, "unmap", call -> 0L),
                onceClosed("driver-close-4", "forgets its format", IommuDomain.class, "format", call -> "closed"),
                device(
                                "driver-close-5",
                                "has page requests that nothing can have",
                                "pageRequests",
                                call -> Optional.of(fakeRequests()))
                        .where(traits -> !traits.has(Ability.PAGE_REQUESTS)),
                onceClosed(
                        "driver-close-6", "probes when it is closed", Iommu.class, "probe", call -> Optional.empty()),
                onceClosed("driver-close-6", "finds itself busy", Iommu.class, "allocate", call -> refuse(Errno.EBUSY)),
                onceClosed("driver-close-7", "has no units when it is closed", Iommu.class, "units", call -> List.of()),
                onceClosed(
                                "driver-close-7",
                                "forgets faults when it is closed",
                                Iommu.class,
                                "takeFaults",
                                call -> List.of())
                        .where(Ability.FAULT_REPORTS),
                onceClosed(
                        "driver-close-7",
                        "isolates nothing when it is closed",
                        IommuDevice.class,
                        "isolatedMsi",
                        call -> refuse(Errno.ENODEV)),
                Saboteur.of("driver-close-8", "keeps its registers", RegisterWindow.class, "release", call -> null),
                of("driver-close-9", "stays open without a word", "close", caught(Errno.EBUSY, () -> "")),
                of("driver-close-9", "has the wrong reason", "close", swap(Errno.EBUSY, Errno.EINVAL)));
    }

    private static PageRequests fakeRequests() {
        return (PageRequests) Proxy.newProxyInstance(
                DriverSaboteurs.class.getClassLoader(),
                new Class<?>[] {PageRequests.class},
                (self, method, arguments) -> method.getReturnType() == long.class ? (Object) 0L : null);
    }

    private static List<Saboteur> devices() {
        return List.of(
                of(
                        "device-1",
                        "makes a device for each question",
                        "probe",
                        call -> ((Optional<?>) call.proceed()).map(device -> copy((IommuDevice) device))),
                with("device-1", "has one device for all", "probe", () -> {
                    Object[] first = new Object[1];
                    return call -> {
                        Object found = call.proceed();
                        first[0] = first[0] == null ? found : first[0];
                        return ((Optional<?>) found).isPresent() ? first[0] : found;
                    };
                }),
                device(
                        "device-id-1",
                        "has a name in place of its address",
                        "id",
                        call -> new NamedDevice(call.proceed().toString())),
                onceClosed("device-id-1", "forgets its id", IommuDevice.class, "id", call -> UNKNOWN),
                Saboteur.with("device-iommu-1", "names the first driver", IommuDevice.class, "iommu", () -> {
                    Object[] first = new Object[1];
                    return call -> {
                        Object iommu = call.proceed();
                        first[0] = first[0] == null ? iommu : first[0];
                        return first[0];
                    };
                }),
                device("reserved-1", "has no region", "reservedRegions", call -> List.of()),
                device("reserved-1", "has a region twice", "reservedRegions", call -> {
                    List<Object> regions = new ArrayList<>((List<?>) call.proceed());
                    regions.add(regions.get(regions.size() - 1));
                    return regions;
                }),
                device("reserved-1", "has one region more", "reservedRegions", call -> {
                    List<Object> regions = new ArrayList<>((List<?>) call.proceed());
                    regions.add(0, new ReservedRegion(0, 0xfff, ReservedRegion.Type.RESERVED));
                    return regions;
                }),
                device("isolated-msi-1", "says the opposite", "isolatedMsi", call -> !(boolean) call.proceed()),
                Saboteur.with("isolated-msi-1", "says the opposite later", IommuDevice.class, "isolatedMsi", () -> {
                    AtomicInteger count = new AtomicInteger();
                    return call -> count.incrementAndGet() > 3 ? !(boolean) call.proceed() : call.proceed();
                }),
                Saboteur.with("hardware-info-1", "tells another story later", IommuDevice.class, "hardwareInfo", () -> {
                    AtomicInteger count = new AtomicInteger();
                    return call -> new HardwareInfo(7, List.of(count.incrementAndGet()));
                }),
                device("virtual-unit-1", "has a unit that is none", "virtualIommuUnit", call -> Optional.of("none")),
                device("max-pasids-1", "has three", "maxPasids", call -> 3),
                device("max-pasids-1", "has those that there are at most", "maxPasids", call -> 1 << 20),
                device(
                                "page-requests-of-device-1",
                                "has requests that can't be",
                                "pageRequests",
                                call -> Optional.of(fakeRequests()))
                        .where(traits -> !traits.has(Ability.PAGE_REQUESTS)));
    }
}
