// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import static org.iommu4j.it.tck.Handlers.when;
import static org.iommu4j.tck.Ability.FAULT_REPORTS;
import static org.iommu4j.tck.Ability.TABLE_READER;
import static org.iommu4j.tck.Ability.TRANSLATION_REQUESTS;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import org.iommu4j.Prot;
import org.iommu4j.it.tck.Interposer.Call;
import org.iommu4j.it.tck.Interposer.Change;
import org.iommu4j.it.tck.Interposer.Handler;
import org.iommu4j.sim.spi.AccessStatus;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.InvalidationAnswer;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.RegisterDump;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.StateDigest;
import org.iommu4j.sim.spi.TableReader;
import org.iommu4j.sim.spi.TableVisitor;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.spi.TranslationUnitProvider;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.tck.Traits;

/** Silicon that is wrong. */
@SuppressWarnings("ThreadPriorityCheck") // another thread is to come in between
final class SiliconSaboteurs {
    private static final int ADDRESS = 2;
    private static final int FLAGS = 3;
    private static final long PAGE = 4096;

    private SiliconSaboteurs() {}

    static List<Saboteur> all() {
        return Saboteur.all(
                        work(),
                        threads(),
                        memory(),
                        registers(),
                        translations(),
                        translationRequests(),
                        pageRequests(),
                        state(),
                        providers(),
                        recognition(),
                        creation(),
                        readers(),
                        visits(),
                        fabrics(),
                        devices())
                .stream()
                // Only a unit with tables for a reader has a queue in memory, whose reads show a lock.
                .map(saboteur -> saboteur.promise().matches("(reader|tables)-.*")
                                || saboteur.about().equals("locks the unit to translate")
                        ? saboteur.where(TABLE_READER)
                        : saboteur)
                .toList();
    }

    private static Saboteur unit(String promise, String about, String method, Handler handler) {
        return Saboteur.of(promise, about, TranslationUnit.class, method, handler);
    }

    private static Saboteur silicon(String promise, String about, String method, Handler handler) {
        return Saboteur.of(promise, about, TranslationUnitProvider.class, method, handler);
    }

    private static Saboteur reader(String promise, String about, String method, Handler handler) {
        return Saboteur.of(promise, about, TableReader.class, method, handler);
    }

    private static Saboteur fabric(String promise, String about, String method, Handler handler) {
        return Saboteur.of(promise, about, Fabric.class, method, handler);
    }

    private static Saboteur with(
            String promise, String about, Class<?> type, String method, Supplier<Handler> handler) {
        return Saboteur.with(promise, about, type, method, handler);
    }

    private static TranslationUnit unit(Call call) {
        return call.target(TranslationUnit.class);
    }

    private static Fabric fabric(Call call) {
        return call.target(Fabric.class);
    }

    // Units.

    private static List<Saboteur> work() {
        Handler atOnce = call -> {
            Object result = call.proceed();
            while (unit(call).step()) {
                // nothing is left
            }
            return result;
        };
        Handler oneAtOnce = call -> {
            Object result = call.proceed();
            unit(call).step();
            return result;
        };
        return List.of(
                Saboteur.of(
                        "unit-1",
                        "does all work inside register writes",
                        () -> List.of(
                                new Change(TranslationUnit.class, "writeRegister32", atOnce),
                                new Change(TranslationUnit.class, "writeRegister64", atOnce))),
                Saboteur.of(
                        "unit-1",
                        "takes one step inside each register write",
                        () -> List.of(
                                new Change(TranslationUnit.class, "writeRegister32", oneAtOnce),
                                new Change(TranslationUnit.class, "writeRegister64", oneAtOnce))),
                unit("unit-step-1", "says false of a step that worked", "step", call -> {
                    call.proceed();
                    return false;
                }),
                with("unit-step-1", "says true of the first idle step", TranslationUnit.class, "step", () -> {
                    IdentityHashMap<Object, Integer> idle = new IdentityHashMap<>();
                    return call -> (boolean) call.proceed() || idle.merge(unit(call), 1, Integer::sum) == 1;
                }),
                unit("unit-step-2", "always has more to do", "step", call -> {
                    call.proceed();
                    return true;
                }));
    }

    private static List<Saboteur> threads() {
        return List.of(
                Saboteur.of("unit-2", "locks the unit to translate", () -> {
                    Object lock = new Object();
                    Handler locked = call -> {
                        synchronized (lock) {
                            return call.proceed();
                        }
                    };
                    return List.of(
                            new Change(TranslationUnit.class, "translate", locked),
                            new Change(TranslationUnit.class, "step", locked));
                }),
                with(
                        "unit-2",
                        "keeps the address where other threads change it",
                        TranslationUnit.class,
                        "translate",
                        () -> {
                            AtomicReference<Long> shared = new AtomicReference<>();
                            return call -> {
                                shared.set(call.number(ADDRESS));
                                Thread.yield();
                                return call.with(ADDRESS, shared.get()).proceed();
                            };
                        }));
    }

    private static List<Saboteur> memory() {
        return List.of(
                with("unit-3", "keeps the memory of the first unit", TranslationUnitProvider.class, "create", () -> {
                    List<Fabric> first = new ArrayList<>();
                    return call -> {
                        first.add(call.argument(1, Fabric.class));
                        return call.with(1, first.get(0)).proceed();
                    };
                }),
                snooping("unit-3", "never snoops", snoop -> false).where(Traits::snoopedWalks),
                snooping("unit-3", "always snoops", snoop -> true).where(traits -> !traits.snoopedWalks()),
                with("unit-3", "snoops every other time", TranslationUnitProvider.class, "create", () -> {
                    AtomicInteger turn = new AtomicInteger();
                    return call -> call.with(
                                    1,
                                    new Snooping(
                                            call.argument(1, Fabric.class), snoop -> turn.getAndIncrement() % 2 == 0))
                            .proceed();
                }));
    }

    private static Saboteur snooping(String promise, String about, UnaryOperator<Boolean> snoop) {
        return silicon(
                promise,
                about,
                "create",
                call -> call.with(1, new Snooping(call.argument(1, Fabric.class), snoop))
                        .proceed());
    }

    /** Reads with snooping of its own. */
    private static final class Snooping extends FabricOver {
        private final UnaryOperator<Boolean> snooping;

        private Snooping(Fabric fabric, UnaryOperator<Boolean> snooping) {
            super(fabric);
            this.snooping = snooping;
        }

        @Override
        public long read(long physicalAddress, boolean snoop) {
            return super.read(physicalAddress, snooping.apply(snoop));
        }
    }

    private static List<Saboteur> registers() {
        return List.of(
                unit("unit-spec-1", "has a specification of another name", "spec", call -> {
                    TranslationUnitSpec spec = (TranslationUnitSpec) call.proceed();
                    return new TranslationUnitSpec(
                            spec.provider(),
                            spec.name(),
                            spec.segment() + 1,
                            spec.registerBase(),
                            spec.registerSize(),
                            spec.registers());
                }),
                unit(
                        "unit-read-eight-1",
                        "reads bytes in the other order",
                        "readRegister8",
                        call -> call.with(0, (int) call.number(0) ^ 3).proceed()),
                unit("unit-read-eight-1", "reads bytes with a sign", "readRegister8", call ->
                                (int) (byte) (int) call.proceed())
                        .on(Offers::manyRegisters),
                unit(
                        "unit-read-sixteen-1",
                        "reads the lower half at both offsets",
                        "readRegister16",
                        call -> call.with(0, (int) call.number(0) & ~2).proceed()),
                unit("unit-read-sixteen-1", "reads halves with a sign", "readRegister16", call ->
                                (int) (short) (int) call.proceed())
                        .on(Offers::manyRegisters),
                unit(
                        "unit-read-thirty-two-1",
                        "reads the lower half at both offsets",
                        "readRegister32",
                        call -> call.with(0, (int) call.number(0) & ~4).proceed()),
                unit(
                        "unit-read-sixty-four-1",
                        "reads the halves the other way round",
                        "readRegister64",
                        call -> Long.rotateLeft((long) call.proceed(), 32)),
                unit("unit-read-sixty-four-1", "writes back what it reads", "readRegister64", call -> {
                            long value = (long) call.proceed();
                            unit(call).writeRegister64((int) call.number(0), value);
                            return value;
                        })
                        .on(Offers::manyRegisters),
                unit("unit-write-eight-1", "swallows bytes", "writeRegister8", call -> null),
                unit(
                        "unit-write-eight-1",
                        "swallows one byte",
                        "writeRegister8",
                        when(call -> call.number(0) == 0x13, call -> null)),
                unit("unit-write-sixteen-1", "swallows halves", "writeRegister16", call -> null),
                unit("unit-write-sixteen-1", "throws something else", "writeRegister16", call -> {
                    throw new IllegalArgumentException("sabotage");
                }),
                unit(
                        "unit-write-thirty-two-1",
                        "drops upper halves",
                        "writeRegister32",
                        when(call -> (call.number(0) & 4) != 0, call -> null)),
                unit("unit-write-thirty-two-1", "drops all", "writeRegister32", call -> null),
                unit(
                                "unit-write-sixty-four-1",
                                "drops the upper half",
                                "writeRegister64",
                                call -> call.with(1, call.number(1) & 0xffffffffL)
                                        .proceed())
                        .on(Offers::manyRegisters),
                unit(
                        "unit-write-sixty-four-1",
                        "writes the next register",
                        "writeRegister64",
                        call -> call.with(0, (int) call.number(0) + 8 & 0xff8).proceed()));
    }

    private static List<Saboteur> translations() {
        return List.of(
                unit(
                        "unit-translate-1",
                        "lets devices write where they may read",
                        "translate",
                        call -> call.with(FLAGS, RequestFlags.READ).proceed()),
                with(
                        "unit-translate-1",
                        "finds the next page the second time",
                        TranslationUnit.class,
                        "translate",
                        () -> {
                            Set<Long> seen = new HashSet<>();
                            return call -> {
                                long answer = (long) call.proceed();
                                return answer < 0 || seen.add(call.number(ADDRESS)) ? answer : answer + PAGE;
                            };
                        }),
                unit("unit-translate-1", "records a refusal twice", "translate", call -> {
                            long answer = (long) call.proceed();
                            return answer < 0 ? call.proceed() : answer;
                        })
                        .where(FAULT_REPORTS),
                unit("unit-translate-1", "records a fault for writes that it lets pass", "translate", call -> {
                            long answer = (long) call.proceed();
                            if (answer >= 0 && (int) call.number(FLAGS) == RequestFlags.WRITE) {
                                call.with(ADDRESS, call.number(ADDRESS) + 0x40000)
                                        .proceed();
                            }
                            return answer;
                        })
                        .where(FAULT_REPORTS),
                unit(
                                "unit-translate-1",
                                "forgets to record faults of far pages",
                                "translate",
                                when(call -> (call.number(ADDRESS) >>> 12 & 0x3f) >= 41, call -> Translation.fault(6)))
                        .where(FAULT_REPORTS),
                new Saboteur(
                        "unit-translate-2",
                        "allocates when it refuses",
                        subject -> Silicons.withUnits(subject, unit -> new Silicons.AllocatingUnit(unit, true, false)),
                        subject -> true),
                new Saboteur(
                        "unit-translate-2",
                        "allocates when it translates",
                        subject -> Silicons.withUnits(subject, unit -> new Silicons.AllocatingUnit(unit, false, true)),
                        subject -> true),
                unit("unit-translate-3", "has 17 bits of fault code", "translate", call -> {
                    long answer = (long) call.proceed();
                    return answer < 0 ? answer | 1 << 16 : answer;
                }),
                unit("unit-translate-3", "has a fault without a code", "translate", call -> {
                    long answer = (long) call.proceed();
                    return answer < 0 ? Translation.fault(0) : answer;
                }),
                unit("unit-translate-3", "sets an unused bit of writes", "translate", call -> {
                    long answer = (long) call.proceed();
                    return answer >= 0 && (int) call.number(FLAGS) == RequestFlags.WRITE ? answer | 1L << 60 : answer;
                }),
                unit("unit-translate-3", "returns pages in place of bytes", "translate", call -> {
                    long answer = (long) call.proceed();
                    return answer < 0 ? answer : answer & -PAGE;
                }),
                unit("unit-consume-1", "takes every write", "consume", call -> 0),
                unit("unit-consume-1", "throws something else", "consume", call -> {
                    throw new UnsupportedOperationException("sabotage");
                }));
    }

    private static List<Saboteur> translationRequests() {
        return List.of(
                unit("unit-ats-1", "answers with the next page", "requestTranslation", call -> {
                            long answer = (long) call.proceed();
                            return answer < 0 ? answer : answer + PAGE;
                        })
                        .where(TRANSLATION_REQUESTS),
                unit(
                                "unit-ats-1",
                                "grants writing with reading",
                                "requestTranslation",
                                call -> call.with(FLAGS, RequestFlags.READ).proceed())
                        .where(TRANSLATION_REQUESTS),
                unit("unit-ats-1", "grants nothing", "requestTranslation", call -> TranslationUnit.NOT_TRANSLATED)
                        .where(TRANSLATION_REQUESTS),
                unit("unit-ats-2", "records a fault for what it does not grant", "requestTranslation", call -> {
                            long answer = (long) call.proceed();
                            if (answer < 0) {
                                unit(call)
                                        .translate(
                                                (int) call.number(0), (int) call.number(1), call.number(ADDRESS), (int)
                                                        call.number(FLAGS));
                            }
                            return answer;
                        })
                        .where(TRANSLATION_REQUESTS),
                unit("unit-ats-2", "has a fault in place of no rights", "requestTranslation", call -> {
                            long answer = (long) call.proceed();
                            return answer < 0 ? Translation.fault(2) : answer;
                        })
                        .where(TRANSLATION_REQUESTS),
                unit("unit-complete-1", "forgets the answers of devices", "completeInvalidation", call -> true)
                        .where(TRANSLATION_REQUESTS),
                unit("unit-time-out-1", "gives up on everything", "timeOutInvalidations", call -> {
                    unit(call).reset();
                    return null;
                }),
                unit("unit-complete-2", "expects every answer", "completeInvalidation", call -> {
                    call.proceed();
                    return true;
                }),
                unit(
                                "unit-pass-1",
                                "translates once more",
                                "passTranslated",
                                call -> unit(call)
                                        .translate(
                                                (int) call.number(0), (int) call.number(1), call.number(ADDRESS), (int)
                                                        call.number(FLAGS)))
                        .where(TRANSLATION_REQUESTS),
                unit(
                        "unit-pass-1",
                        "passes to page 0",
                        "passTranslated",
                        call -> Translation.to(call.number(ADDRESS) & PAGE - 1, false)));
    }

    private static List<Saboteur> pageRequests() {
        return List.of(
                Saboteur.of("unit-page-1", "answers at once", () -> {
                    AtomicReference<Fabric> fabric = new AtomicReference<>();
                    return List.of(created(fabric), new Change(TranslationUnit.class, "requestPage", call -> {
                        respond(fabric.get(), call);
                        return call.proceed();
                    }));
                }),
                Saboteur.of("unit-page-1", "reads memory at once", () -> {
                    AtomicReference<Fabric> fabric = new AtomicReference<>();
                    return List.of(created(fabric), new Change(TranslationUnit.class, "requestPage", call -> {
                        fabric.get().read(PAGE, true);
                        return call.proceed();
                    }));
                }),
                Saboteur.of("unit-page-2", "answers twice in a later step", () -> {
                    AtomicReference<Fabric> fabric = new AtomicReference<>();
                    List<Integer> groups = new ArrayList<>();
                    return List.of(
                            created(fabric),
                            new Change(TranslationUnit.class, "requestPage", call -> {
                                groups.add((int) call.number(4));
                                return call.proceed();
                            }),
                            new Change(TranslationUnit.class, "step", call -> {
                                if (groups.isEmpty()) {
                                    return call.proceed();
                                }
                                int group = groups.remove(0);
                                fabric.get().respondToPageRequest(8, TranslationUnit.NO_PASID, group, 0);
                                fabric.get().respondToPageRequest(8, TranslationUnit.NO_PASID, group, 0);
                                return true;
                            }));
                }));
    }

    private static Change created(AtomicReference<Fabric> fabric) {
        return new Change(TranslationUnitProvider.class, "create", call -> {
            fabric.set(call.argument(1, Fabric.class));
            return call.proceed();
        });
    }

    private static void respond(Fabric fabric, Call call) {
        fabric.respondToPageRequest((int) call.number(0), (int) call.number(1), (int) call.number(4), 0);
    }

    private static List<Saboteur> state() {
        return List.of(
                unit("unit-reset-1", "does nothing", "reset", call -> null),
                with("unit-reset-1", "resets once only", TranslationUnit.class, "reset", () -> {
                    IdentityHashMap<Object, Integer> calls = new IdentityHashMap<>();
                    return call -> calls.merge(unit(call), 1, Integer::sum) == 2 ? null : call.proceed();
                }),
                Saboteur.of("unit-reset-1", "keeps the last register that was written", () -> {
                    int[] offset = {8};
                    return List.of(
                            new Change(TranslationUnit.class, "writeRegister64", call -> {
                                offset[0] = (int) call.number(0);
                                return call.proceed();
                            }),
                            new Change(TranslationUnit.class, "reset", call -> {
                                long kept = unit(call).readRegister64(offset[0]);
                                call.proceed();
                                unit(call).writeRegister64(offset[0], kept);
                                return null;
                            }));
                }),
                unit("unit-digest-1", "adds nothing", "addTo", call -> null),
                unit("unit-digest-1", "adds a number of its own", "addTo", call -> {
                    call.argument(0, StateDigest.class).add(5);
                    return null;
                }),
                unit("unit-digest-1", "forgets what was there", "addTo", call -> {
                    call.argument(0, StateDigest.class).reset();
                    return call.proceed();
                }),
                unit("unit-digest-1", "adds registers alone", "addTo", call -> {
                    for (int offset = 0; offset < unit(call).spec().registerSize(); offset += 8) {
                        call.argument(0, StateDigest.class).add(unit(call).readRegister64(offset));
                    }
                    return null;
                }),
                unit("unit-digest-1", "adds the time", "addTo", call -> {
                    call.argument(0, StateDigest.class).add(System.nanoTime());
                    return call.proceed();
                }));
    }

    // Providers.

    private static List<Saboteur> providers() {
        return List.of(
                new Saboteur(
                        "silicon-1",
                        "has a field",
                        subject -> Silicons.withUnits(subject, unit -> unit),
                        subject -> true),
                with("silicon-1", "makes one unit for all", TranslationUnitProvider.class, "create", () -> {
                    AtomicReference<Object> unit = new AtomicReference<>();
                    return call -> {
                        unit.compareAndSet(null, call.proceed());
                        return unit.get();
                    };
                }),
                with(
                        "silicon-1",
                        "makes later units that are otherwise",
                        TranslationUnitProvider.class,
                        "create",
                        () -> {
                            AtomicInteger units = new AtomicInteger();
                            return call -> {
                                TranslationUnit unit = (TranslationUnit) call.proceed();
                                if (units.incrementAndGet() > 2) {
                                    for (int offset = 8; offset < 64; offset += 8) {
                                        unit.writeRegister64(offset, 0x1234000);
                                    }
                                }
                                return unit;
                            };
                        }),
                silicon("silicon-name-1", "has a name with a capital", "name", call -> "X" + call.proceed()),
                with("silicon-name-1", "has another name later", TranslationUnitProvider.class, "name", () -> {
                    AtomicInteger calls = new AtomicInteger();
                    return call -> call.proceed() + (calls.incrementAndGet() > 4 ? "x" : "");
                }),
                machines("machines-1", "names two machines alike", machines -> {
                    List<MachineDescription> twice = new ArrayList<>(machines);
                    twice.add(machines.get(0));
                    return twice;
                }),
                machines(
                        "machines-1",
                        "has a machine of too little memory",
                        machines -> machines.stream()
                                .map(machine -> new MachineDescription(
                                        machine.name(),
                                        machine.processors(),
                                        PAGE,
                                        machine.units(),
                                        machine.functions(),
                                        machine.acpiTables(),
                                        machine.bootOptions()))
                                .toList()),
                machines(
                        "machines-2",
                        "has a machine that nobody claims",
                        machines -> machines.stream()
                                .map(machine -> machine.withAcpiTables(Map.of()))
                                .toList()),
                machines(
                        "machines-2",
                        "has devices behind another unit",
                        machines -> machines.stream()
                                .map(machine -> machine.withUnits(machine.units().stream()
                                        .map(unit -> new TranslationUnitSpec(
                                                unit.provider(),
                                                unit.name(),
                                                unit.segment(),
                                                unit.registerBase() ^ 0x1000000,
                                                unit.registerSize(),
                                                unit.registers()))
                                        .toList()))
                                .toList()));
    }

    private static Saboteur machines(String promise, String about, UnaryOperator<List<MachineDescription>> change) {
        return silicon(promise, about, "machines", call -> {
            @SuppressWarnings("unchecked")
            List<MachineDescription> machines = (List<MachineDescription>) call.proceed();
            return change.apply(machines);
        });
    }

    private static Handler instead(Handler other) {
        return call -> {
            try {
                return call.proceed();
            } catch (IllegalArgumentException e) {
                return other.handle(call);
            }
        };
    }

    private static List<Saboteur> recognition() {
        return List.of(
                silicon("recognise-1", "recognises nothing", "recognise", call -> {
                    call.proceed();
                    return Optional.empty();
                }),
                silicon("recognise-1", "recognises every name", "recognise", call -> {
                    Object found = call.proceed();
                    return found.equals(Optional.empty())
                            ? Optional.of(new TranslationUnitSpec("vtd", "any", 0, 0, 4096, Map.of()))
                            : found;
                }),
                silicon("recognise-1", "places a unit elsewhere", "recognise", call -> {
                    @SuppressWarnings("unchecked")
                    Optional<TranslationUnitSpec> found = (Optional<TranslationUnitSpec>) call.proceed();
                    return found.map(spec -> new TranslationUnitSpec(
                            spec.provider(),
                            spec.name(),
                            spec.segment(),
                            spec.registerBase() + 0x10000,
                            spec.registerSize(),
                            spec.registers()));
                }),
                silicon(
                        "recognise-2",
                        "has no unit where too little is known",
                        "recognise",
                        instead(call -> Optional.empty())),
                silicon("recognise-2", "throws something else", "recognise", instead(call -> {
                    throw new IllegalStateException("sabotage");
                })));
    }

    private static List<Saboteur> creation() {
        return List.of(
                with("create-1", "makes a unit of what is missing", TranslationUnitProvider.class, "create", () -> {
                    AtomicReference<TranslationUnitSpec> last = new AtomicReference<>();
                    return call -> {
                        try {
                            Object unit = call.proceed();
                            last.set(call.argument(0, TranslationUnitSpec.class));
                            return unit;
                        } catch (IllegalArgumentException e) {
                            TranslationUnitSpec spec = call.argument(0, TranslationUnitSpec.class);
                            Map<String, Long> registers = spec.provider().equals("vtd")
                                    ? Map.of("VER", 0x10L, "CAP", 0xd2078c106f0466L, "ECAP", 0xf020dfL)
                                    : Map.of("EFR", 0L, "CAP", 1L);
                            return call.with(
                                            0,
                                            new TranslationUnitSpec(
                                                    spec.provider(),
                                                    spec.name(),
                                                    spec.segment(),
                                                    spec.registerBase(),
                                                    spec.registerSize(),
                                                    registers))
                                    .proceed();
                        }
                    };
                }),
                silicon("create-1", "throws something else", "create", instead(call -> {
                    throw new IllegalStateException("sabotage");
                })));
    }

    // Readers.

    private static List<Saboteur> readers() {
        return List.of(
                silicon("reader-1", "reads nothing", "reader", call -> {
                    call.proceed();
                    return Optional.empty();
                }),
                with("reader-1", "has a reader for any registers", TranslationUnitProvider.class, "reader", () -> {
                    AtomicReference<Object> last = new AtomicReference<>(Optional.empty());
                    return call -> {
                        Object reader = call.proceed();
                        if (!reader.equals(Optional.empty())) {
                            last.set(reader);
                        }
                        return last.get();
                    };
                }),
                silicon("reader-2", "does not say which word", "reader", instead(call -> {
                    throw new IllegalArgumentException("something is missing");
                })),
                silicon("reader-2", "throws something else", "reader", instead(call -> {
                    throw new IllegalStateException("sabotage");
                })),
                silicon(
                        "reader-2",
                        "has no reader where a word is missing",
                        "reader",
                        instead(call -> Optional.empty())),
                writing("tables-1", "writes to the image when it visits", "visit"),
                writing("tables-1", "writes to the image when it translates", "translate"),
                reader("tables-describe-1", "has two lines", "describe", call -> call.proceed() + "\nmore"),
                reader("tables-describe-1", "leaves the address out", "describe", call -> "a unit"),
                reader("tables-fault-1", "has one meaning for all", "faultReason", call -> "a fault"),
                reader(
                        "tables-fault-1",
                        "has no meaning for some",
                        "faultReason",
                        call -> call.number(0) == 3 ? " " : call.proceed()),
                reader(
                        "tables-translate-1",
                        "ignores rights",
                        "translate",
                        call -> call.with(FLAGS, RequestFlags.READ).proceed()),
                reader("tables-translate-1", "leaves snooping out", "translate", call -> {
                    long answer = (long) call.proceed();
                    return answer < 0 ? answer : answer ^ 1L << 62;
                }),
                reader("tables-translate-1", "finds the next page above 2 MiB", "translate", call -> {
                    long answer = (long) call.proceed();
                    return answer < 0 || (call.number(ADDRESS) & 0x1fffff) < 0x3000 ? answer : answer + PAGE;
                }),
                reader("tables-translate-1", "has another fault", "translate", call -> {
                    long answer = (long) call.proceed();
                    return answer < 0 ? answer ^ 1 : answer;
                }),
                reader("tables-2", "throws where it can't follow", "translate", call -> {
                    long answer = (long) call.proceed();
                    if (answer < 0) {
                        throw new IllegalStateException("sabotage");
                    }
                    return answer;
                }));
    }

    private static Saboteur writing(String promise, String about, String method) {
        return Saboteur.of(promise, about, () -> {
            AtomicReference<Fabric> image = new AtomicReference<>();
            return List.of(
                    new Change(TranslationUnitProvider.class, "reader", call -> {
                        image.set(call.argument(1, Fabric.class));
                        call.argument(0, RegisterDump.class);
                        return call.proceed();
                    }),
                    new Change(TableReader.class, method, call -> {
                        image.get().compareAndSet(0x100000, 0, 1, true);
                        return call.proceed();
                    }));
        });
    }

    /** Returns a saboteur of visits, whose last argument is the visitor. */
    private static Saboteur visit(String promise, String about, UnaryOperator<TableVisitor> visitors) {
        return reader(
                promise,
                about,
                "visit",
                call -> call.with(call.count() - 1, visitors.apply(call.argument(call.count() - 1, TableVisitor.class)))
                        .proceed());
    }

    private static List<Saboteur> visits() {
        return List.of(
                visit("tables-2", "throws where it can't follow", visitor -> new Telling(visitor) {
                    @Override
                    public void problem(String line) {
                        throw new IllegalStateException("sabotage");
                    }
                }),
                visit("tables-2", "reports nothing", visitor -> new Telling(visitor) {
                    @Override
                    public void problem(String line) {
                        // not told
                    }
                }),
                visit("tables-3", "names each loop twice", visitor -> new Telling(visitor) {
                    @Override
                    public void problem(String line) {
                        super.problem(line);
                        super.problem(line);
                    }
                }),
                visit("tables-3", "goes on after a problem", visitor -> new Telling(visitor) {
                    @Override
                    public void problem(String line) {
                        while (true) {
                            super.problem(line);
                        }
                    }
                }),
                visit("tables-3", "lists a table once", visitor -> new Telling(visitor) {
                    private final Set<Long> entries = new HashSet<>();

                    @Override
                    public void table(int level, long entryAddress, long entry, long iova) {
                        if (entries.add(entry)) {
                            super.table(level, entryAddress, entry, iova);
                        }
                    }
                }),
                visit("tables-visit-1", "tells all rights", visitor -> new Telling(visitor) {
                    @Override
                    public void mapping(
                            long iova,
                            long physicalAddress,
                            long size,
                            int prot,
                            boolean snoop,
                            long entry,
                            int level) {
                        super.mapping(iova, physicalAddress, size, Prot.READ | Prot.WRITE, snoop, entry, level);
                    }
                }),
                visit("tables-visit-1", "leaves out a mapping", visitor -> new Telling(visitor) {
                    private int mappings;

                    @Override
                    public void mapping(
                            long iova,
                            long physicalAddress,
                            long size,
                            int prot,
                            boolean snoop,
                            long entry,
                            int level) {
                        if (++mappings != 3) {
                            super.mapping(iova, physicalAddress, size, prot, snoop, entry, level);
                        }
                    }
                }),
                reader("tables-visit-1", "visits all twice", "visit", when(call -> call.count() == 1, call -> {
                    call.proceed();
                    return call.proceed();
                })),
                reader(
                        "tables-visit-1",
                        "visits from the last to the first",
                        "visit",
                        when(call -> call.count() == 1, call -> {
                            List<Integer> ids = new ArrayList<>();
                            call.target(TableReader.class).visit(new Telling(call.argument(0, TableVisitor.class)) {
                                @Override
                                public void requester(int sourceId, int pasid, String translation, long root) {
                                    ids.add(0, sourceId);
                                }

                                @Override
                                public void mapping(
                                        long iova,
                                        long physicalAddress,
                                        long size,
                                        int prot,
                                        boolean snoop,
                                        long entry,
                                        int level) {
                                    // only who is there
                                }
                            });
                            for (int id : ids) {
                                call.target(TableReader.class).visit(id, call.argument(0, TableVisitor.class));
                            }
                            return null;
                        })),
                reader("tables-visit-2", "visits all for one", "visit", when(call -> call.count() == 2, call -> {
                    call.target(TableReader.class).visit(call.argument(1, TableVisitor.class));
                    return null;
                })),
                reader(
                        "tables-visit-2",
                        "visits the first for those without an entry",
                        "visit",
                        when(call -> call.count() == 2 && call.number(0) == 0xffff, call -> {
                            call.target(TableReader.class).visit(call.argument(1, TableVisitor.class));
                            return null;
                        })));
    }

    /** Passes on what a visitor is told. */
    private static class Telling implements TableVisitor {
        private final TableVisitor visitor;

        Telling(TableVisitor visitor) {
            this.visitor = visitor;
        }

        @Override
        public void requester(int sourceId, int pasid, String translation, long root) {
            visitor.requester(sourceId, pasid, translation, root);
        }

        @Override
        public void table(int level, long entryAddress, long entry, long iova) {
            visitor.table(level, entryAddress, entry, iova);
        }

        @Override
        public void mapping(
                long iova, long physicalAddress, long size, int prot, boolean snoopForced, long entry, int level) {
            visitor.mapping(iova, physicalAddress, size, prot, snoopForced, entry, level);
        }

        @Override
        public void problem(String line) {
            visitor.problem(line);
        }
    }

    // Fabrics.

    private static List<Saboteur> fabrics() {
        return Saboteur.all(
                snooping("fabric-1", false, "past the caches"),
                snooping("fabric-2", true, "with a snoop, each time"),
                otherFabrics());
    }

    /** One for each access: it snoops always or never. */
    private static List<Saboteur> snooping(String promise, boolean snoop, String how) {
        Map<String, Integer> accesses = Map.of("read", 1, "write", 2, "write32", 2, "compareAndSet", 3);
        return accesses.keySet().stream()
                .sorted()
                .map(access -> fabric(
                        promise,
                        access + " " + how,
                        access,
                        call -> call.with(accesses.get(access), snoop).proceed()))
                .toList();
    }

    private static List<Saboteur> otherFabrics() {
        return List.of(
                new Saboteur(
                        "fabric-3",
                        "allocates when it reads",
                        subject -> subject.withFabrics(fabric -> new Silicons.AllocatingFabric(fabric, true, false)),
                        subject -> true),
                new Saboteur(
                        "fabric-3",
                        "allocates when it exchanges",
                        subject -> subject.withFabrics(fabric -> new Silicons.AllocatingFabric(fabric, false, true)),
                        subject -> true),
                fabric("fabric-memory-1", "has memory everywhere", "isMemory", call -> true),
                fabric(
                        "fabric-memory-1",
                        "has no last word",
                        "isMemory",
                        call -> (boolean) call.proceed() && fabric(call).isMemory(call.number(0) + 8)),
                fabric(
                        "fabric-memory-1",
                        "reads nothing as 0",
                        "read",
                        call -> fabric(call).isMemory(call.number(0)) ? call.proceed() : 0L),
                fabric(
                        "fabric-memory-1",
                        "writes what is outside inside",
                        "write",
                        call -> call.with(0, call.number(0) & 0xfffffffL).proceed()),
                fabric("fabric-status-1", "takes a corrupt word for no memory", "status", call -> {
                    Object status = call.proceed();
                    return status == AccessStatus.POISON ? AccessStatus.ACCESS_FAULT : status;
                }),
                fabric("fabric-status-1", "takes all ones for corrupt", "status", call -> {
                    Object status = call.proceed();
                    return status == AccessStatus.OK
                                    && fabric(call).read(call.number(0), call.argument(1, Boolean.class)) == -1
                            ? AccessStatus.POISON
                            : status;
                }),
                fabric(
                        "fabric-status-1",
                        "takes the second half of a corrupt line for intact",
                        "status",
                        when(
                                call -> (call.number(0) & 0x20) != 0
                                        && fabric(call).isMemory(call.number(0)),
                                call -> AccessStatus.OK)),
                fabric("fabric-unreadable-1", "can read everything", "isUnreadable", call -> false),
                fabric(
                        "fabric-unreadable-1",
                        "can't read ones",
                        "isUnreadable",
                        call -> fabric(call).read(call.number(0), call.argument(1, Boolean.class)) == -1),
                fabric(
                        "fabric-unreadable-1",
                        "can read corrupt words",
                        "isUnreadable",
                        call -> !fabric(call).isMemory(call.number(0))),
                fabric(
                        "fabric-read-1",
                        "reads the word before at the end of a line",
                        "read",
                        call -> call.with(0, (call.number(0) & 0x3f) == 0x38 ? call.number(0) - 8 : call.number(0))
                                .proceed()),
                fabric("fabric-read-1", "reads 63 bits", "read", call -> (long) call.proceed() & Long.MAX_VALUE),
                fabric("fabric-write-1", "writes two words", "write", call -> {
                    call.proceed();
                    call.with(0, call.number(0) + 8).proceed();
                    return null;
                }),
                fabric(
                        "fabric-write-1",
                        "leaves a corrupt word",
                        "write",
                        when(call -> fabric(call).status(call.number(0), true) == AccessStatus.POISON, call -> null)),
                fabric(
                        "fabric-write-half-1",
                        "writes the lower half always",
                        "write32",
                        call -> call.with(0, call.number(0) & ~4L).proceed()),
                fabric("fabric-write-half-1", "clears the other half", "write32", call -> {
                    if (fabric(call).status(call.number(0) & ~7L, true) == AccessStatus.OK) {
                        fabric(call).write(call.number(0) & ~7L, 0, call.argument(2, Boolean.class));
                    }
                    return call.proceed();
                }),
                fabric("fabric-write-half-1", "makes a corrupt word intact", "write32", call -> {
                    if (fabric(call).status(call.number(0) & ~7L, true) == AccessStatus.POISON) {
                        fabric(call).write(call.number(0) & ~7L, 0, true);
                    }
                    return call.proceed();
                }),
                fabric("fabric-cas-1", "says that it did", "compareAndSet", call -> {
                    call.proceed();
                    return true;
                }),
                fabric("fabric-cas-1", "compares 32 bits", "compareAndSet", call -> {
                    long now = fabric(call).read(call.number(0), call.argument(3, Boolean.class));
                    return (int) now == (int) call.number(1) ? call.with(1, now).proceed() : (Object) false;
                }),
                fabric("fabric-cas-1", "is not atomic", "compareAndSet", call -> {
                    boolean snoop = call.argument(3, Boolean.class);
                    if (!fabric(call).isMemory(call.number(0))
                            || fabric(call).read(call.number(0), snoop) != call.number(1)) {
                        return false;
                    }
                    Thread.yield();
                    fabric(call).write(call.number(0), call.number(2), snoop);
                    return true;
                }));
    }

    private static List<Saboteur> devices() {
        return List.of(
                fabric("fabric-invalidate-1", "says that nobody answered", "invalidateDevice", call -> {
                            call.proceed();
                            return InvalidationAnswer.NEVER;
                        })
                        .where(TRANSLATION_REQUESTS),
                fabric(
                                "fabric-invalidate-1",
                                "has a device forget the first page of a range",
                                "invalidateDevice",
                                call -> call.number(4) > PAGE
                                        ? call.with(4, PAGE).proceed()
                                        : call.proceed())
                        .where(TRANSLATION_REQUESTS),
                fabric(
                                "fabric-invalidate-1",
                                "has a device forget all",
                                "invalidateDevice",
                                call -> call.with(3, 0L).with(4, Long.MIN_VALUE).proceed())
                        .where(TRANSLATION_REQUESTS),
                fabric("fabric-invalidate-1", "says that a device answered", "invalidateDevice", call -> {
                    call.proceed();
                    return InvalidationAnswer.DONE;
                }),
                fabric(
                                "fabric-invalidate-1",
                                "has a device forget one PASID in place of all",
                                "invalidateDevice",
                                call -> call.with(2, false).proceed())
                        .where(TRANSLATION_REQUESTS),
                fabric("fabric-writable-1", "takes writes everywhere", "isWritable", call -> true),
                fabric("fabric-writable-1", "takes writes nowhere", "isWritable", call -> false),
                fabric("fabric-wire-1", "drives no wire", "setWire", call -> null),
                fabric(
                        "fabric-wire-1",
                        "never lets a wire go",
                        "setWire",
                        call -> call.with(1, true).proceed()),
                fabric(
                        "fabric-wire-1",
                        "drives wire 0 alone",
                        "setWire",
                        call -> call.with(0, 0).proceed()),
                fabric(
                        "fabric-respond-1",
                        "answers success always",
                        "respondToPageRequest",
                        call -> call.with(3, 0).proceed()),
                fabric(
                        "fabric-respond-1",
                        "answers without the PASID",
                        "respondToPageRequest",
                        call -> call.with(1, TranslationUnit.NO_PASID).proceed()),
                fabric(
                        "fabric-respond-1",
                        "answers the next group",
                        "respondToPageRequest",
                        call -> call.with(2, (int) call.number(2) + 1).proceed()),
                fabric(
                        "fabric-respond-1",
                        "drops failures",
                        "respondToPageRequest",
                        when(call -> call.number(3) == 15, call -> null)));
    }
}
