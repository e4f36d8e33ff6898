// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import static org.iommu4j.it.tck.Domains.domain;
import static org.iommu4j.it.tck.Domains.dummy;
import static org.iommu4j.it.tck.Domains.misnamed;
import static org.iommu4j.it.tck.Domains.page;
import static org.iommu4j.it.tck.Domains.silent;
import static org.iommu4j.it.tck.Domains.unmap;
import static org.iommu4j.it.tck.Domains.with;
import static org.iommu4j.it.tck.Handlers.afterError;
import static org.iommu4j.it.tck.Handlers.onError;
import static org.iommu4j.it.tck.Handlers.when;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import org.iommu4j.AttachResult;
import org.iommu4j.DecisionSource;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.capability.CacheCoherencyEnforcement;
import org.iommu4j.capability.DirtyTracking;
import org.iommu4j.capability.GuestInvalidation;
import org.iommu4j.capability.Nesting;
import org.iommu4j.capability.PasidAttachment;
import org.iommu4j.it.sabotage.ForgetfulMemory;
import org.iommu4j.it.tck.Interposer.Call;
import org.iommu4j.it.tck.Interposer.Change;
import org.iommu4j.it.tck.Interposer.Handler;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Traits;

/** Domains that are wrong otherwise. */
final class DomainSaboteurs {
    private DomainSaboteurs() {}

    static List<Saboteur> all() {
        return Saboteur.all(
                addresses(),
                threads(),
                bytes(),
                kinds(),
                constants(),
                sizes(),
                translations(),
                capabilities(),
                closing());
    }

    private static List<Saboteur> addresses() {
        return List.of(
                Domains.of(
                        "domain-1", "takes IOVAs for signed numbers", "map", when(call -> call.number(0) < 0, call -> {
                            throw new IommuException(Errno.EINVAL, "sabotage");
                        })),
                Domains.of(
                                "domain-1",
                                "translates no negative number",
                                "translate",
                                when(call -> call.number(0) < 0, call -> IommuDomain.UNMAPPED))
                        .where(traits -> traits.addressBits() == 64),
                Domains.of(
                                "domain-1",
                                "takes a size for pages",
                                "syncMap",
                                call -> call.with(1, call.number(1) / page(call))
                                        .proceed())
                        .where(Ability.NEGATIVE_CACHE),
                Domains.of(
                        "domain-1",
                        "unmaps in pages",
                        "unmap",
                        when(
                                call -> call.number(1) > 1L && domain(call).pageSizes() != 0,
                                call -> (long) call.proceed() / page(call))),
                Domains.of(
                        "domain-1",
                        "loses the upper half of addresses",
                        "map",
                        when(
                                call -> Long.compareUnsigned(
                                                        call.number(0),
                                                        domain(call).apertureEnd() >>> 1)
                                                > 0
                                        && call.number(3) > 1,
                                call -> call.with(3, 1L).proceed())));
    }

    private static List<Saboteur> threads() {
        return List.of(
                with("domain-2", "does nothing while another thread maps", "map", () -> {
                    AtomicBoolean busy = new AtomicBoolean();
                    return call -> {
                        if (!busy.compareAndSet(false, true)) {
                            return null;
                        }
                        try {
                            return call.proceed();
                        } finally {
                            busy.set(false);
                        }
                    };
                }),
                with("domain-2", "unmaps nothing for a second thread", "unmap", () -> {
                    Thread[] last = new Thread[1];
                    return call -> {
                        Thread me = Thread.currentThread();
                        if (last[0] != null && last[0] != me && last[0].isAlive()) {
                            return 0L;
                        }
                        last[0] = me;
                        return call.proceed();
                    };
                }),
                with("domain-2", "answers the first thread only", "translate", () -> {
                    Thread[] first = new Thread[1];
                    return call -> {
                        first[0] = first[0] == null ? Thread.currentThread() : first[0];
                        return first[0] == Thread.currentThread() ? call.proceed() : (Object) IommuDomain.UNMAPPED;
                    };
                }),
                Saboteur.of(
                                "domain-2",
                                "installs tables without a look at what is there",
                                SystemMemory.class,
                                "compareAndSet",
                                call -> {
                                    call.target(SystemMemory.class).store(call.number(0), call.number(2));
                                    return true;
                                })
                        .where(traits -> traits.tables() == Traits.Tables.IN_FRAMES));
    }

    /** Ports that take 16 bytes from the heap at some calls. */
    private static Saboteur allocating(String about, boolean loads, boolean stores, boolean waits) {
        return new Saboteur(
                "domain-3",
                about,
                subject -> subject.withPorts(context -> context.withMemory(
                                new AllocatingMemory(context.memory(), loads, stores))
                        .withWaiter(
                                waits
                                        ? (condition, ticks) -> {
                                            AllocatingMemory.sink = new long[1];
                                            return context.waiter().await(condition, ticks);
                                        }
                                        : context.waiter())),
                subject -> subject.traits().has(Ability.COMPLETION));
    }

    private static List<Saboteur> bytes() {
        return List.of(
                allocating("takes heap for each word that it loads", true, false, false),
                allocating("takes heap for each word that it stores", false, true, false),
                allocating("takes heap for each wait", false, false, true));
    }

    private static List<Saboteur> kinds() {
        return List.of(
                Saboteur.of(
                                "domain-4",
                                "lets a blocked device pass",
                                Iommu.class,
                                "allocate",
                                when(
                                        call -> call.count() == 2
                                                && call.argument(0, DomainType.class) == DomainType.BLOCKED,
                                        call -> call.with(0, DomainType.IDENTITY)
                                                .proceed()))
                        .where(Ability.IDENTITY),
                Saboteur.of(
                                "domain-4",
                                "blocks a passing device",
                                Iommu.class,
                                "allocate",
                                when(
                                        call -> call.argument(0, DomainType.class) == DomainType.IDENTITY,
                                        call -> call.with(0, DomainType.BLOCKED).proceed()))
                        .where(Ability.IDENTITY),
                Saboteur.of(
                        "domain-4",
                        "leaves a device where it was instead of blocking it",
                        IommuDomain.class,
                        "attach",
                        when(call -> domain(call).type() == DomainType.BLOCKED, call -> AttachResult.ATTACHED)),
                Saboteur.of("domain-5", "detaches a device that another domain has", () -> {
                    Map<Object, IommuDomain> homes = new HashMap<>();
                    return List.of(
                            homes(homes),
                            new Change(IommuDomain.class, "detach", afterError(List.of(Errno.EINVAL), call -> {
                                IommuDevice device = call.argument(0, IommuDevice.class);
                                if (homes.get(device) != null) {
                                    homes.get(device).detach(device);
                                }
                                return null;
                            })));
                }),
                Domains.of(
                        "domain-5",
                        "loses a page when it can't be closed",
                        "close",
                        afterError(List.of(Errno.EBUSY), call -> {
                            for (long iova = 1L << 30; iova > 0 && iova != 1L << 47; iova <<= 1) {
                                unmap(domain(call), iova, page(call));
                            }
                            return null;
                        })),
                Domains.of(
                        "domain-5",
                        "maps the page before a run that is too long",
                        "map",
                        afterError(
                                List.of(Errno.ERANGE), call -> call.with(3, 1L).proceed())),
                Domains.of(
                        "domain-5",
                        "maps for reading where it refuses other rights",
                        "map",
                        afterError(
                                List.of(Errno.EINVAL),
                                call -> call.with(4, 1)
                                        .with(0, call.number(0) & -page(call))
                                        .proceed())),
                Saboteur.of("domain-5", "blocks its own device when it refuses a stranger's", () -> {
                    Map<Object, IommuDomain> homes = new HashMap<>();
                    List<Change> changes = new ArrayList<>();
                    changes.add(new Change(IommuDomain.class, "attach", call -> {
                        try {
                            Object result = call.proceed();
                            homes.put(call.argument(0, IommuDevice.class), domain(call));
                            return result;
                        } catch (IommuException e) {
                            for (Map.Entry<Object, IommuDomain> home : homes.entrySet()) {
                                if (home.getValue() == domain(call) && e.errno() == Errno.ENODEV) {
                                    domain(call).detach((IommuDevice) home.getKey());
                                }
                            }
                            throw e;
                        }
                    }));
                    return changes;
                }));
    }

    /** Remembers which domain each device is in. */
    private static Change homes(Map<Object, IommuDomain> homes) {
        return new Change(IommuDomain.class, "attach", call -> {
            Object result = call.proceed();
            homes.put(call.argument(0, IommuDevice.class), domain(call));
            return result;
        });
    }

    /** Answers a constant otherwise from the end of some method's first call on. */
    private static Saboteur changes(String promise, String constant, String from, Handler other) {
        return Saboteur.of(promise, "answers " + constant + " otherwise after " + from, () -> {
            Set<Object> changed = new HashSet<>();
            return List.of(
                    new Change(IommuDomain.class, from, call -> {
                        Object result = call.proceed();
                        changed.add(domain(call));
                        return result;
                    }),
                    new Change(IommuDomain.class, constant, when(call -> changed.contains(domain(call)), other)));
        });
    }

    private static List<Saboteur> constants() {
        return List.of(
                changes("type-1", "type", "close", call -> DomainType.BLOCKED),
                changes(
                        "type-1",
                        "type",
                        "attach",
                        call -> call.proceed() == DomainType.DMA ? DomainType.UNMANAGED : call.proceed()),
                Domains.of(
                        "type-1",
                        "calls a DMA domain UNMANAGED",
                        "type",
                        call -> call.proceed() == DomainType.DMA ? DomainType.UNMANAGED : call.proceed()),
                with("domain-iommu-1", "names the driver of the first domain", "iommu", () -> {
                    AtomicReference<Object> first = new AtomicReference<>();
                    return call -> {
                        first.compareAndSet(null, call.proceed());
                        return first.get();
                    };
                }),
                changes("domain-iommu-1", "iommu", "close", call -> {
                    throw new IommuException(Errno.ENODEV, "sabotage");
                }),
                Domains.of("format-1", "has no name for its format", "format", call -> ""),
                changes("format-1", "format", "map", call -> call.proceed() + "-2"),
                changes("format-1", "format", "close", call -> "closed"),
                Saboteur.of("format-2", "refuses devices for which it was not made with ENODEV", () -> {
                    Map<Object, Object> madeFor = new HashMap<>();
                    return List.of(
                            new Change(Iommu.class, "allocate", call -> {
                                Object domain = call.proceed();
                                madeFor.put(domain, call.argument(1, IommuDevice.class));
                                return domain;
                            }),
                            new Change(
                                    IommuDomain.class,
                                    "attach",
                                    when(
                                            call -> domain(call).type() == DomainType.DMA
                                                    && madeFor.get(domain(call)) != call.argument(0, IommuDevice.class),
                                            call -> {
                                                throw new IommuException(Errno.ENODEV, "sabotage");
                                            })));
                }),
                Saboteur.of(
                        "format-2",
                        "has no answer for a device that fits",
                        IommuDomain.class,
                        "attach",
                        when(call -> domain(call).type() == DomainType.DMA, call -> null)));
    }

    private static List<Saboteur> sizes() {
        return List.of(
                Domains.of(
                        "page-sizes-1",
                        "names a size too small",
                        "pageSizes",
                        call -> (long) call.proceed() | Long.lowestOneBit((long) call.proceed()) >>> 1),
                Domains.of(
                        "page-sizes-1",
                        "does not name its smallest size",
                        "pageSizes",
                        call -> Long.bitCount((long) call.proceed()) > 1
                                ? (Object) ((long) call.proceed() & (long) call.proceed() - 1)
                                : (Object) ((long) call.proceed() << 1)),
                Domains.of(
                        "page-sizes-1",
                        "names a size too large",
                        "pageSizes",
                        call -> (long) call.proceed() == 0 ? (Object) 0L : (Object) ((long) call.proceed() | 1L << 39)),
                Domains.of(
                        "page-sizes-2",
                        "names sizes of a blocked domain",
                        "pageSizes",
                        call -> Math.max((long) call.proceed(), 4096L)),
                changes(
                        "page-sizes-2",
                        "pageSizes",
                        "map",
                        call -> Long.lowestOneBit((long) call.proceed()) | 1L << 62),
                changes(
                        "page-sizes-2",
                        "pageSizes",
                        "close",
                        call -> domain(call).type() == DomainType.BLOCKED ? 1L : 0L),
                Domains.of(
                        "aperture-1",
                        "starts at the second page",
                        "apertureStart",
                        call -> domain(call).type().isPaging()
                                ? (Object) ((long) call.proceed() + page(call))
                                : call.proceed()),
                Domains.of(
                        "aperture-1",
                        "starts inside a page",
                        "apertureStart",
                        call -> domain(call).type().isPaging() ? (Object) ((long) call.proceed() + 8) : call.proceed()),
                Domains.of(
                        "aperture-2",
                        "starts late where there are no pages",
                        "apertureStart",
                        call -> domain(call).type().isPaging() ? call.proceed() : (Object) 4096L),
                changes("aperture-2", "apertureStart", "detach", call -> (long) call.proceed() + page(call)),
                Domains.of(
                        "aperture-3", "ends a page later", "apertureEnd", call -> (long) call.proceed() + page(call)),
                Domains.of(
                        "aperture-3", "ends a page earlier", "apertureEnd", call -> (long) call.proceed() - page(call)),
                Domains.of("aperture-3", "ends after its last byte", "apertureEnd", call -> (long) call.proceed() + 1),
                Domains.of(
                        "aperture-3",
                        "refuses its last page",
                        "map",
                        when(
                                call -> domain(call).type().isPaging()
                                        && call.number(0) + page(call) - 1
                                                == domain(call).apertureEnd(),
                                call -> {
                                    throw new IommuException(Errno.ERANGE, "sabotage");
                                })),
                changes("aperture-5", "apertureEnd", "map", call -> (long) call.proceed() >>> 1),
                changes("aperture-5", "apertureEnd", "close", call -> 0L),
                changes("aperture-5", "apertureEnd", "detach", call -> (long) call.proceed() >>> 1));
    }

    private static List<Saboteur> translations() {
        return List.of(
                Domains.of(
                        "translate-1",
                        "answers for the page and not for the byte",
                        "translate",
                        when(
                                call -> domain(call).type().isPaging(),
                                call -> call.with(0, call.number(0) & -page(call))
                                        .proceed())),
                Domains.of(
                        "translate-1",
                        "answers for the word and not for the byte",
                        "translate",
                        when(
                                call -> domain(call).type().isPaging(),
                                call -> call.with(0, call.number(0) & -8).proceed())),
                Domains.of(
                                "translate-1",
                                "answers for the middle of large pages with their start",
                                "translate",
                                when(
                                        call -> call.number(0) % page(call) == 0
                                                && domain(call).pageSizes() != 0,
                                        call -> {
                                            long found = (long) call.proceed();
                                            long before = domain(call).translate(call.number(0) - page(call));
                                            return found != IommuDomain.UNMAPPED
                                                            && before == found - page(call)
                                                            && found > 1 << 21
                                                    ? (Object) before
                                                    : (Object) found;
                                        }))
                        .on(Offers::largePages),
                with("translate-2", "remembers its first answer", "translate", () -> {
                    Map<Long, Object> first = new HashMap<>();
                    return call -> {
                        Object found = call.proceed();
                        return found.equals(IommuDomain.UNMAPPED)
                                ? found
                                : first.computeIfAbsent(call.number(0), at -> found);
                    };
                }),
                Domains.of("translate-2", "finds what is mapped a page before as well", "translate", call -> {
                    long found = (long) call.proceed();
                    long before = domain(call).translate(call.number(0) - page(call));
                    return found != IommuDomain.UNMAPPED || before == IommuDomain.UNMAPPED
                            ? (Object) found
                            : (Object) (before + page(call));
                }),
                Domains.of(
                        "translate-2",
                        "ignores the upper bits of an address",
                        "translate",
                        call -> call.with(0, call.number(0) & (1L << 40) - 1).proceed()),
                Domains.of(
                                "translate-3",
                                "blocks the first page of identity",
                                "translate",
                                when(
                                        call -> domain(call).type() == DomainType.IDENTITY && call.number(0) == 0,
                                        call -> IommuDomain.UNMAPPED))
                        .where(Ability.IDENTITY),
                Domains.of(
                        "translate-3",
                        "passes addresses of a blocked domain",
                        "translate",
                        when(call -> domain(call).type() == DomainType.BLOCKED, call -> call.number(0))),
                Domains.of(
                                "translate-3",
                                "answers for pages of identity",
                                "translate",
                                when(
                                        call -> domain(call).type() == DomainType.IDENTITY,
                                        call -> call.number(0) & -4096))
                        .where(Ability.IDENTITY),
                silent("translate-4", "translate", IommuDomain.UNMAPPED, Errno.ENODEV),
                Domains.of(
                        "translate-4",
                        "answers for addresses beyond the aperture when closed",
                        "translate",
                        when(
                                call -> Long.compareUnsigned(
                                                call.number(0), domain(call).apertureEnd())
                                        >= 0,
                                call -> IommuDomain.UNMAPPED)));
    }

    private static List<Saboteur> capabilities() {
        List<Saboteur> all = new ArrayList<>();
        all.add(new Saboteur(
                        "enforce-8",
                        "leaves the bit out of entries that blocks no-snoop",
                        subject -> subject.withPorts(context -> subject.vendor().equals("amd")
                                ? ForgetfulMemory.withoutFc(context)
                                : ForgetfulMemory.withoutSnp(context)),
                        Offers::snoopBits)
                .where(traits ->
                        traits.has(Ability.COMPLETION) && traits.enforcement().isKept()));
        all.add(changes("enforcement-1", "cacheCoherencyEnforcement", "close", call -> Optional.empty())
                .where(Ability.ENFORCEMENT));
        all.add(changes("enforcement-1", "cacheCoherencyEnforcement", "map", call -> Optional.empty())
                .where(Ability.ENFORCEMENT));
        all.add(Domains.of(
                        "enforcement-1",
                        "has the control in DMA domains only",
                        "cacheCoherencyEnforcement",
                        when(call -> domain(call).type() == DomainType.UNMANAGED, call -> Optional.empty()))
                .where(Ability.ENFORCEMENT));
        all.add(Domains.of(
                "enforcement-source-1",
                "names another vendor's rule",
                "enforcementSource",
                call -> Optional.of(DecisionSource.of("another", "decide", "noSuchRule"))));
        all.add(changes("dirty-tracking-1", "dirtyTracking", "attach", call -> Optional.of(dummy(DirtyTracking.class)))
                .where(traits -> !traits.has(Ability.DIRTY_TRACKING)));
        all.add(Domains.of(
                "dirty-tracking-1",
                "has a record without pages",
                "dirtyTracking",
                when(call -> !domain(call).type().isPaging(), call -> Optional.of(dummy(DirtyTracking.class)))));
        all.add(changes(
                        "pasid-attachment-1",
                        "pasidAttachment",
                        "detach",
                        call -> Optional.of(dummy(PasidAttachment.class)))
                .where(traits -> !traits.has(Ability.PASID)));
        all.add(changes("nesting-1", "nesting", "map", call -> Optional.of(dummy(Nesting.class)))
                .where(traits -> !traits.has(Ability.NESTING)));
        all.add(Domains.of(
                "nesting-1",
                "lets a blocked domain be a parent",
                "nesting",
                when(call -> domain(call).type() == DomainType.BLOCKED, call -> Optional.of(dummy(Nesting.class)))));
        all.add(Domains.of(
                "guest-invalidation-1",
                "takes a guest's invalidations without nesting",
                "guestInvalidation",
                when(
                        call -> domain(call).type() == DomainType.UNMANAGED,
                        call -> Optional.of(dummy(GuestInvalidation.class)))));
        all.add(changes(
                "guest-invalidation-1",
                "guestInvalidation",
                "close",
                call -> Optional.of(dummy(GuestInvalidation.class))));
        return all;
    }

    private static List<Saboteur> closing() {
        return List.of(
                Saboteur.of("close-1", "keeps the second frame that it should free", () -> {
                            int[] closing = {Integer.MIN_VALUE};
                            return List.of(
                                    new Change(IommuDomain.class, "close", call -> {
                                        closing[0] = 0;
                                        try {
                                            return call.proceed();
                                        } finally {
                                            closing[0] = Integer.MIN_VALUE;
                                        }
                                    }),
                                    new Change(
                                            FrameAllocator.class,
                                            "free",
                                            when(call -> ++closing[0] == 2, call -> null)));
                        })
                        .where(traits -> traits.tables() == Traits.Tables.IN_FRAMES),
                with("close-1", "keeps every third domain", "close", () -> {
                    int[] calls = new int[1];
                    return when(call -> ++calls[0] % 3 == 0, call -> null);
                }),
                Saboteur.of("close-2", "detaches the last device", () -> {
                    Map<Object, IommuDomain> homes = new HashMap<>();
                    return List.of(
                            homes(homes), new Change(IommuDomain.class, "close", onError(List.of(Errno.EBUSY), call -> {
                                for (Map.Entry<Object, IommuDomain> home : homes.entrySet()) {
                                    if (home.getValue() == domain(call)) {
                                        detachIfThere(domain(call), (IommuDevice) home.getKey());
                                    }
                                }
                                return call.proceed();
                            })));
                }),
                silent("close-2", "close", null, Errno.EBUSY),
                with("close-3", "refuses to be closed again", "close", () -> {
                    Set<Object> closed = new HashSet<>();
                    return call -> {
                        Object result = call.proceed();
                        if (!closed.add(domain(call))) {
                            throw new IommuException(Errno.ENODEV, "sabotage");
                        }
                        return result;
                    };
                }),
                Saboteur.of("close-3", "frees its frames again when it is closed again", () -> {
                            boolean[] closing = new boolean[1];
                            List<long[]> freed = new ArrayList<>();
                            Map<Object, List<long[]>> frames = new HashMap<>();
                            FrameAllocator[] pool = new FrameAllocator[1];
                            return List.of(
                                    new Change(IommuDomain.class, "close", call -> {
                                        List<long[]> mine = frames.get(domain(call));
                                        if (mine != null) {
                                            for (long[] frame : mine) {
                                                freeIfTaken(pool[0], frame);
                                            }
                                            return call.proceed();
                                        }
                                        closing[0] = true;
                                        freed.clear();
                                        Object result = call.proceed();
                                        closing[0] = false;
                                        frames.put(domain(call), List.copyOf(freed));
                                        return result;
                                    }),
                                    new Change(FrameAllocator.class, "free", call -> {
                                        pool[0] = call.target(FrameAllocator.class);
                                        if (closing[0]) {
                                            freed.add(new long[] {call.number(0), call.number(1)});
                                        }
                                        return call.proceed();
                                    }));
                        })
                        .where(traits -> traits.tables() == Traits.Tables.IN_FRAMES),
                silent("close-4", "translate", IommuDomain.UNMAPPED, Errno.ENODEV),
                silent("close-4", "detach", null, Errno.ENODEV),
                misnamed("close-4", "unmap", Errno.ENODEV, Errno.EINVAL),
                Domains.of(
                        "close-4",
                        "notices nothing where nothing is gathered",
                        "sync",
                        onError(List.of(Errno.ENODEV), call -> {
                            if (call.argument(0, IotlbGather.class).isEmpty()) {
                                return null;
                            }
                            throw new IommuException(Errno.ENODEV, "as it was");
                        })),
                Saboteur.of(
                                "close-4",
                                "answers for no-snoop when it is closed",
                                CacheCoherencyEnforcement.class,
                                "enforce",
                                onError(List.of(Errno.ENODEV), call -> false))
                        .where(Ability.ENFORCEMENT),
                changes("close-4", "format", "close", call -> {
                    throw new IommuException(Errno.ENODEV, "sabotage");
                }),
                misnamed("close-5", "close", Errno.EBUSY, Errno.EINVAL),
                Domains.of("close-5", "unmaps before it is refused", "close", call -> {
                    for (long iova = 1L << 30; iova > 0 && iova != 1L << 47; iova <<= 1) {
                        if (isOpen(call)) {
                            unmap(domain(call), iova, page(call));
                        }
                    }
                    return call.proceed();
                }),
                Saboteur.of("close-5", "counts one device only", () -> {
                    Map<Object, Integer> devices = new HashMap<>();
                    return List.of(
                            new Change(IommuDomain.class, "detach", call -> {
                                Object result = call.proceed();
                                devices.merge(domain(call), 1, Integer::sum);
                                return result;
                            }),
                            new Change(
                                    IommuDomain.class,
                                    "close",
                                    when(
                                            call -> devices.getOrDefault(domain(call), 0) == 1,
                                            onError(List.of(Errno.EBUSY), call -> null))));
                }));
    }

    private static boolean isOpen(Call call) {
        try {
            domain(call).translate(0);
            return true;
        } catch (IommuException e) {
            return false;
        }
    }

    private static void detachIfThere(IommuDomain domain, IommuDevice device) {
        try {
            domain.detach(device);
        } catch (IommuException e) {
            if (e.errno() != Errno.EINVAL) {
                throw e;
            }
        }
    }

    private static void freeIfTaken(FrameAllocator pool, long[] frame) {
        try {
            pool.free(frame[0], (int) frame[1]);
        } catch (IllegalStateException e) {
            // Nobody has it: nothing is broken yet.
            return;
        }
    }
}
