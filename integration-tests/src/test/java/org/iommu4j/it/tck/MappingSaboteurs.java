// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import static org.iommu4j.it.tck.Domains.domain;
import static org.iommu4j.it.tck.Domains.misnamed;
import static org.iommu4j.it.tck.Domains.page;
import static org.iommu4j.it.tck.Domains.silent;
import static org.iommu4j.it.tck.Domains.unmap;
import static org.iommu4j.it.tck.Domains.with;
import static org.iommu4j.it.tck.Handlers.afterError;
import static org.iommu4j.it.tck.Handlers.onError;
import static org.iommu4j.it.tck.Handlers.when;

import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.Prot;
import org.iommu4j.it.sabotage.ForgetfulMemory;
import org.iommu4j.it.tck.Domains.Opened;
import org.iommu4j.it.tck.Interposer.Call;
import org.iommu4j.it.tck.Interposer.Change;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.spi.VendorContext;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Traits;

/** Domains that map, unmap or sync wrongly. */
final class MappingSaboteurs {
    private static final int IOVA = 0;
    private static final int PHYSICAL = 1;
    private static final int SIZE = 2;
    private static final int COUNT = 3;
    private static final int PROT = 4;
    private static final List<Errno> NOT_COMPLETED = List.of(Errno.ETIMEDOUT, Errno.EIO);

    private MappingSaboteurs() {}

    static List<Saboteur> all() {
        return Saboteur.all(
                reaching(),
                allOrNothing(),
                tables(),
                rights(),
                refusals(),
                syncMap(),
                unmapping(),
                gathering(),
                syncing());
    }

    private static boolean isLarge(Call call) {
        return call.number(SIZE) > page(call);
    }

    private static List<Saboteur> reaching() {
        return List.of(
                Domains.of(
                        "map-1",
                        "maps runs one page too far",
                        "map",
                        when(
                                call -> call.number(COUNT) > 1,
                                call -> call.with(PHYSICAL, call.number(PHYSICAL) + call.number(SIZE))
                                        .proceed())),
                Domains.of(
                        "map-1",
                        "leaves out the last page of long runs",
                        "map",
                        when(
                                call -> call.number(COUNT) > 8,
                                call -> call.with(COUNT, call.number(COUNT) - 1).proceed())),
                Domains.of(
                        "map-1",
                        "maps the second part of a run over a table's end like the first",
                        "map",
                        when(call -> call.number(COUNT) > 1, call -> {
                            long size = call.number(SIZE);
                            long boundary = (call.number(IOVA) | (1L << 21) - 1) + 1;
                            long before = (boundary - call.number(IOVA)) / size;
                            if (before < 1 || before >= call.number(COUNT)) {
                                return call.proceed();
                            }
                            long rest = call.number(COUNT) - before;
                            int prot = call.argument(PROT, Integer.class);
                            call.with(COUNT, before).proceed();
                            domain(call).map(boundary, call.number(PHYSICAL), size, rest, prot);
                            return null;
                        })),
                with("map-1", "maps large pages to the address of the page before from the second on", "map", () -> {
                            long[] last = {-1};
                            return when(MappingSaboteurs::isLarge, call -> {
                                long before = last[0];
                                last[0] = call.number(PHYSICAL);
                                return call.with(PHYSICAL, before == -1 ? last[0] : before ^ call.number(SIZE))
                                        .proceed();
                            });
                        })
                        .on(Offers::largePages),
                with("map-1", "forgets the sixth mapping of all", "map", () -> {
                    int[] calls = new int[1];
                    return when(call -> ++calls[0] == 6, call -> null);
                }),
                Saboteur.of("map-1", "forgets what is mapped while no device is there", () -> {
                    Map<Object, Integer> devices = new HashMap<>();
                    return List.of(
                            new Change(IommuDomain.class, "attach", call -> {
                                devices.merge(domain(call), 1, Integer::sum);
                                return call.proceed();
                            }),
                            new Change(IommuDomain.class, "detach", call -> {
                                devices.merge(domain(call), -1, Integer::sum);
                                return call.proceed();
                            }),
                            new Change(
                                    IommuDomain.class,
                                    "map",
                                    when(call -> devices.getOrDefault(domain(call), 0) == 0, call -> null)));
                }),
                Saboteur.of(
                                "map-1",
                                "does not write single words back",
                                SystemMemory.class,
                                "writeBack",
                                when(call -> call.number(1) <= 8, call -> null))
                        .where(traits -> !traits.snoopedWalks()),
                Saboteur.of(
                                "map-1",
                                "writes runs back but for their last line",
                                SystemMemory.class,
                                "writeBack",
                                when(
                                        call -> call.number(1) > 64 && call.number(1) < 4096,
                                        call -> call.with(1, call.number(1) - 64)
                                                .proceed()))
                        .where(traits -> !traits.snoopedWalks()));
    }

    private static List<Saboteur> allOrNothing() {
        List<Errno> inUse = List.of(Errno.EADDRINUSE);
        return List.of(
                Domains.of(
                        "map-2",
                        "leaves the first page of a run that met a mapping",
                        "map",
                        afterError(inUse, call -> call.with(COUNT, 1L).proceed())),
                Domains.of(
                        "map-2", "leaves the last page of a run that met a mapping", "map", afterError(inUse, call -> {
                            long rest = (call.number(COUNT) - 1) * call.number(SIZE);
                            return call.with(IOVA, call.number(IOVA) + rest)
                                    .with(PHYSICAL, call.number(PHYSICAL) + rest)
                                    .with(COUNT, 1L)
                                    .proceed();
                        })),
                Domains.of("map-2", "takes away what was in the run's way", "map", afterError(inUse, call -> {
                    for (long i = 0; i < Math.min(call.number(COUNT), 64); i++) {
                        unmap(domain(call), call.number(IOVA) + i * call.number(SIZE), page(call));
                    }
                    return null;
                })),
                Domains.of("map-2", "gives pages in the way the rights of the run", "map", afterError(inUse, call -> {
                    for (long i = 0; i < Math.min(call.number(COUNT), 64); i++) {
                        long at = call.number(IOVA) + i * call.number(SIZE);
                        long physical = domain(call).translate(at);
                        if (physical != IommuDomain.UNMAPPED) {
                            unmap(domain(call), at, page(call));
                            domain(call).map(at, physical, page(call), 1, call.argument(PROT, Integer.class));
                        }
                    }
                    return null;
                })),
                Domains.of(
                        "map-2",
                        "leaves a page where a frame was missing",
                        "map",
                        afterError(
                                List.of(Errno.ENOMEM),
                                call -> call.with(COUNT, 1L).proceed())),
                with("map-11", "misses frames for ever after it has missed one", "map", () -> {
                    boolean[] failed = new boolean[1];
                    return call -> {
                        if (failed[0]) {
                            throw new IommuException(Errno.ENOMEM, "sabotage");
                        }
                        try {
                            return call.proceed();
                        } catch (IommuException e) {
                            failed[0] = e.errno() == Errno.ENOMEM;
                            throw e;
                        }
                    };
                }),
                misnamed("map-11", "map", Errno.ENOMEM, Errno.ENOSPC),
                silent("map-11", "map", null, Errno.ENOMEM));
    }

    /** Has a driver's memory forget something, which looks different with each vendor. */
    private static Saboteur forgetful(
            String promise, String about, UnaryOperator<VendorContext> intel, UnaryOperator<VendorContext> amd) {
        return new Saboteur(
                        promise,
                        about,
                        subject -> subject.withPorts(subject.vendor().equals("amd") ? amd : intel),
                        Offers::smallInvalidations)
                .where(Ability.COMPLETION);
    }

    private static Saboteur withoutTables(String promise) {
        return forgetful(
                promise,
                "tells the unit of changed leaves only, where tables went",
                ForgetfulMemory::withoutVtdTableInvalidation,
                ForgetfulMemory::withoutAmdTableInvalidation);
    }

    private static Saboteur withoutPages(String promise) {
        return forgetful(
                promise,
                "tells the unit of another domain's pages",
                ForgetfulMemory::withoutVtdIotlbInvalidation,
                ForgetfulMemory::withoutAmdPageInvalidation);
    }

    private static List<Saboteur> tables() {
        return List.of(
                Saboteur.of("map-3", "takes a frame at each refused run", () -> {
                    Opened opened = new Opened();
                    return List.of(
                            opened.change(),
                            new Change(
                                    IommuDomain.class,
                                    "map",
                                    afterError(
                                            List.of(Errno.EADDRINUSE),
                                            call -> opened.frames().allocate(0))));
                }),
                Saboteur.of("map-3", "never frees a frame again after a run lacked one", () -> {
                    boolean[] failed = new boolean[1];
                    return List.of(
                            new Change(IommuDomain.class, "map", afterError(List.of(Errno.ENOMEM), call -> {
                                failed[0] = true;
                                return null;
                            })),
                            new Change(FrameAllocator.class, "free", when(call -> failed[0], call -> {
                                failed[0] = false;
                                return null;
                            })));
                }),
                with("map-4", "refuses a large page where a small one was once", "map", () -> {
                            Set<Long> small = new HashSet<>();
                            return call -> {
                                if (!isLarge(call)) {
                                    small.add(call.number(IOVA));
                                } else if (small.stream()
                                        .anyMatch(at -> at >= call.number(IOVA)
                                                && at < call.number(IOVA) + call.number(SIZE) * call.number(COUNT))) {
                                    throw new IommuException(Errno.EADDRINUSE, "sabotage");
                                }
                                return call.proceed();
                            };
                        })
                        .on(Offers::largePages),
                Saboteur.of("map-4", "keeps the table that a large page replaces", () -> {
                            boolean[] mapping = new boolean[1];
                            return List.of(
                                    new Change(IommuDomain.class, "map", call -> {
                                        mapping[0] = isLarge(call);
                                        try {
                                            return call.proceed();
                                        } finally {
                                            mapping[0] = false;
                                        }
                                    }),
                                    new Change(FrameAllocator.class, "free", when(call -> mapping[0], call -> null)));
                        })
                        .on(Offers::largePages),
                withoutTables("map-4"),
                silent("map-12", "map", null, Errno.ETIMEDOUT, Errno.EIO)
                        .on(Offers::largePages)
                        .where(Ability.COMPLETION),
                Domains.of(
                                "map-12",
                                "calls an unconfirmed table a missing frame",
                                "map",
                                onError(NOT_COMPLETED, call -> {
                                    throw new IommuException(Errno.ENOMEM, "sabotage");
                                }))
                        .on(Offers::largePages)
                        .where(Ability.COMPLETION),
                Domains.of("map-12", "leaves the large page", "map", afterError(NOT_COMPLETED, Call::proceed))
                        .on(Offers::largePages)
                        .where(Ability.COMPLETION));
    }

    private static List<Saboteur> rights() {
        return List.of(
                Domains.of(
                        "map-5",
                        "grants writing where only reading was asked for",
                        "map",
                        call -> call.with(PROT, (int) call.number(PROT) | Prot.READ_WRITE)
                                .proceed()),
                Domains.of(
                                "map-5",
                                "grants writing on large pages",
                                "map",
                                when(
                                        MappingSaboteurs::isLarge,
                                        call -> call.with(PROT, (int) call.number(PROT) | Prot.WRITE)
                                                .proceed()))
                        .on(Offers::largePages),
                Domains.of(
                        "map-5",
                        "grants writing from the second page of a run on",
                        "map",
                        when(call -> call.number(COUNT) > 1, call -> {
                            long size = call.number(SIZE);
                            long count = call.number(COUNT);
                            call.with(COUNT, 1L).proceed();
                            domain(call)
                                    .map(
                                            call.number(IOVA) + size,
                                            call.number(PHYSICAL) + size,
                                            size,
                                            count - 1,
                                            (int) call.number(PROT) | Prot.WRITE);
                            return null;
                        })),
                with("map-5", "gives a page the rights that it had first", "map", () -> {
                    Map<Long, Integer> first = new HashMap<>();
                    return when(
                            call -> (call.number(PROT) & Prot.READ) != 0,
                            call -> call.with(PROT, first.computeIfAbsent(call.number(IOVA), at ->
                                            (int) call.number(PROT)))
                                    .proceed());
                }),
                Domains.of(
                        "map-5",
                        "takes writing from pages that are not cached",
                        "map",
                        when(
                                call -> call.number(PROT) == Prot.READ_WRITE,
                                call -> call.with(PROT, Prot.READ).proceed())),
                Domains.of(
                                "map-5",
                                "grants reading where only writing was asked for",
                                "map",
                                call -> call.with(PROT, (int) call.number(PROT) | Prot.READ)
                                        .proceed())
                        .where(Ability.WRITE_ONLY),
                Domains.of(
                                "map-6",
                                "refuses writing alone",
                                "map",
                                when(call -> (call.number(PROT) & Prot.READ_WRITE) == Prot.WRITE, call -> {
                                    throw new IommuException(Errno.EINVAL, "sabotage");
                                }))
                        .where(traits -> !traits.has(Ability.WRITE_ONLY)),
                Domains.of(
                                "map-6",
                                "takes writing alone for reading",
                                "map",
                                when(
                                        call -> (call.number(PROT) & Prot.READ_WRITE) == Prot.WRITE,
                                        call -> call.with(PROT, (int) call.number(PROT) ^ Prot.READ_WRITE)
                                                .proceed()))
                        .where(traits -> !traits.has(Ability.WRITE_ONLY)));
    }

    private static List<Saboteur> refusals() {
        return List.of(
                Domains.of(
                        "map-7",
                        "maps without rights",
                        "map",
                        when(
                                call -> (call.number(PROT) & Prot.READ_WRITE) == 0,
                                call -> call.with(PROT, Prot.READ).proceed())),
                Domains.of(
                        "map-7",
                        "accepts a run of no pages",
                        "map",
                        when(call -> call.number(COUNT) == 0, call -> null)),
                Domains.of(
                        "map-7",
                        "rounds an IOVA down",
                        "map",
                        call -> call.with(IOVA, call.number(IOVA) & -page(call)).proceed()),
                Domains.of(
                                "map-7",
                                "rounds the physical address of a large page down",
                                "map",
                                when(
                                        MappingSaboteurs::isLarge,
                                        call -> call.with(PHYSICAL, call.number(PHYSICAL) & -call.number(SIZE))
                                                .proceed()))
                        .on(Offers::largePages),
                Domains.of(
                        "map-7",
                        "accepts mappings of a blocked domain",
                        "map",
                        when(call -> domain(call).type() == DomainType.BLOCKED, call -> null)),
                misnamed("map-7", "map", Errno.EINVAL, Errno.ENXIO),
                misnamed("map-8", "map", Errno.ENXIO, Errno.EINVAL),
                Domains.of(
                        "map-8", "maps pages of no bytes", "map", call -> call.number(2) == 0 ? null : call.proceed()),
                Domains.of(
                        "map-7", "maps fewer than no pages", "map", call -> call.number(3) < 0 ? null : call.proceed()),
                Domains.of(
                        "map-8",
                        "maps three pages at once",
                        "map",
                        when(
                                call -> call.number(SIZE) == 3 * page(call),
                                call -> call.with(SIZE, page(call))
                                        .with(COUNT, 3L)
                                        .proceed())),
                Domains.of(
                        "map-8",
                        "takes half a page for a page",
                        "map",
                        when(
                                call -> call.number(SIZE) == page(call) / 2,
                                call -> call.with(SIZE, page(call)).proceed())),
                misnamed("map-9", "map", Errno.ERANGE, Errno.EINVAL),
                Domains.of(
                        "map-9",
                        "cuts physical addresses",
                        "map",
                        call -> call.with(PHYSICAL, call.number(PHYSICAL) & (1L << 52) - 1)
                                .proceed()),
                Domains.of(
                        "map-9",
                        "cuts runs at the end of the aperture",
                        "map",
                        when(call -> domain(call).type().isPaging() && call.number(COUNT) > 1, call -> {
                            long room = domain(call).apertureEnd() - call.number(IOVA);
                            long pages = Long.divideUnsigned(room, Math.max(1, call.number(SIZE)));
                            return call.with(COUNT, Math.min(call.number(COUNT), pages == -1 ? 1 : pages + 1))
                                    .proceed();
                        })),
                Domains.of(
                        "map-9",
                        "maps one page of a run that wraps",
                        "map",
                        when(
                                call -> call.number(COUNT) > 1L << 51,
                                call -> call.with(COUNT, 1L).proceed())),
                misnamed("map-10", "map", Errno.EADDRINUSE, Errno.EBUSY),
                Domains.of(
                        "map-10",
                        "accepts a mapping that is there already",
                        "map",
                        when(
                                call -> call.number(COUNT) == 1
                                        && domain(call).translate(call.number(IOVA)) == call.number(PHYSICAL)
                                        && call.number(SIZE) == page(call),
                                call -> null)),
                Domains.of(
                                "map-10",
                                "replaces small pages by a large one",
                                "map",
                                onError(List.of(Errno.EADDRINUSE), call -> {
                                    if (!isLarge(call)) {
                                        throw new IommuException(Errno.EADDRINUSE, "as it was");
                                    }
                                    long most = Math.min(call.number(SIZE), 1 << 24);
                                    for (long at = 0; at < most; at += page(call)) {
                                        unmap(domain(call), call.number(IOVA) + at, page(call));
                                    }
                                    return call.proceed();
                                }))
                        .on(Offers::largePages),
                silent("map-13", "map", null, Errno.ENODEV),
                misnamed("map-13", "map", Errno.ENODEV, Errno.EINVAL));
    }

    private static List<Saboteur> syncMap() {
        return List.of(
                Domains.of("sync-map-1", "does nothing", "syncMap", call -> null)
                        .where(Ability.NEGATIVE_CACHE),
                Domains.of(
                                "sync-map-1",
                                "announces all but the last page",
                                "syncMap",
                                when(
                                        call -> call.number(1) > page(call),
                                        call -> call.with(1, call.number(1) - page(call))
                                                .proceed()))
                        .where(Ability.NEGATIVE_CACHE),
                with("sync-map-1", "announces the first mapping of a domain only", "syncMap", () -> {
                            Set<Object> known = new HashSet<>();
                            return when(call -> !known.add(domain(call)), call -> null);
                        })
                        .where(Ability.NEGATIVE_CACHE),
                withoutPages("sync-map-1").where(Ability.NEGATIVE_CACHE),
                silent("sync-map-2", "syncMap", null, Errno.ETIMEDOUT, Errno.EIO)
                        .where(Ability.NEGATIVE_CACHE, Ability.COMPLETION),
                Domains.of(
                                "sync-map-2",
                                "takes the entries back",
                                "syncMap",
                                afterError(
                                        NOT_COMPLETED,
                                        call -> domain(call).unmap(call.number(0), call.number(1), new IotlbGather())))
                        .where(Ability.NEGATIVE_CACHE, Ability.COMPLETION),
                Domains.of("sync-map-2", "has the wrong errno", "syncMap", onError(NOT_COMPLETED, call -> {
                            throw new IommuException(Errno.EINVAL, "sabotage");
                        }))
                        .where(Ability.NEGATIVE_CACHE, Ability.COMPLETION),
                silent("sync-map-3", "syncMap", null, Errno.ENODEV),
                Domains.of(
                        "sync-map-3",
                        "notices nothing where nothing was mapped",
                        "syncMap",
                        when(call -> call.number(1) == 0, call -> null)));
    }

    private static List<Saboteur> unmapping() {
        return List.of(
                Domains.of(
                        "unmap-1",
                        "stops at the end of a table",
                        "unmap",
                        when(
                                call -> call.number(0) >>> 21 != (call.number(0) + call.number(1) - 1) >>> 21
                                        && (call.number(0) & ((1 << 21) - 1)) != 0
                                        && call.number(1) < 1L << 40,
                                call -> call.with(1, (1 << 21) - (call.number(0) & ((1 << 21) - 1)))
                                        .proceed())),
                Domains.of("unmap-1", "goes over a hole of one page", "unmap", call -> {
                    long done = (long) call.proceed();
                    if (done != 0 && done + page(call) < call.number(1)) {
                        unmap(domain(call), call.number(0) + done + page(call), page(call));
                    }
                    return done;
                }),
                Domains.of(
                        "unmap-1",
                        "unmaps six pages at most",
                        "unmap",
                        when(
                                call -> call.number(1) > 6 * page(call) && call.number(1) % page(call) == 0,
                                call -> call.with(1, 6 * page(call)).proceed())),
                Domains.of("unmap-2", "throws where nothing is mapped", "unmap", call -> {
                    if (call.proceed().equals(0L)) {
                        throw new IommuException(Errno.EINVAL, "sabotage");
                    }
                    return page(call);
                }),
                Saboteur.of("unmap-2", "takes a frame for a moment", () -> {
                    Opened opened = new Opened();
                    return List.of(opened.change(), new Change(IommuDomain.class, "unmap", call -> {
                        opened.frames().free(opened.frames().allocate(0), 0);
                        return call.proceed();
                    }));
                }),
                Domains.of("unmap-2", "throws where very much is unmapped", "unmap", call -> {
                            long done = (long) call.proceed();
                            if (done > 1L << 27 && domain(call).translate(call.number(0)) == IommuDomain.UNMAPPED) {
                                throw new IommuException(Errno.ETIMEDOUT, "sabotage");
                            }
                            return done;
                        })
                        .where(Ability.COMPLETION),
                Domains.of("unmap-3", "goes back to the start of the page", "unmap", call -> {
                    long done = (long) call.proceed();
                    for (long sizes = domain(call).pageSizes(); done == 0 && sizes != 0; sizes &= sizes - 1) {
                        long size = Long.lowestOneBit(sizes);
                        if (domain(call).translate(call.number(0)) != IommuDomain.UNMAPPED && size <= 1L << 30) {
                            IotlbGather gather = call.argument(2, IotlbGather.class);
                            done = domain(call).unmap(call.number(0) & -size, size, gather);
                        }
                    }
                    return done;
                }),
                Domains.of("unmap-3", "calls the rest of the page unmapped", "unmap", call -> {
                    long done = (long) call.proceed();
                    return done == 0 && domain(call).translate(call.number(0)) != IommuDomain.UNMAPPED
                            ? (Object) call.number(1)
                            : (Object) done;
                }),
                Domains.of(
                                "unmap-4",
                                "returns no more than what was asked for",
                                "unmap",
                                call -> Math.min((long) call.proceed(), call.number(1)))
                        .on(Offers::largePages),
                Domains.of("unmap-4", "does not gather what it unmapped beyond the request", "unmap", call -> {
                            IotlbGather own = new IotlbGather();
                            long done = domain(call).unmap(call.number(0), call.number(1), own);
                            add(
                                    call.argument(2, IotlbGather.class),
                                    own,
                                    own.start(),
                                    call.number(0) + Math.min(done, call.number(1)) - 1);
                            return done;
                        })
                        .on(Offers::largePages),
                Domains.of("unmap-5", "unmaps a page more", "unmap", call -> {
                    long done = (long) call.proceed();
                    if (done > page(call)) {
                        domain(call).unmap(call.number(0) + done, page(call), new IotlbGather());
                    }
                    return done;
                }),
                with("unmap-5", "unmaps the page in the domain before, too", "unmap", () -> {
                    IommuDomain[] last = new IommuDomain[1];
                    return call -> {
                        if (last[0] != null && last[0] != domain(call)) {
                            unmap(last[0], call.number(0), call.number(1));
                        }
                        last[0] = domain(call);
                        return call.proceed();
                    };
                }),
                Domains.of("unmap-5", "takes the first page of a table along with all others", "unmap", call -> {
                    long done = (long) call.proceed();
                    if (done == (1L << 21) - 2 * page(call)) {
                        unmap(domain(call), call.number(0) - page(call), page(call));
                    }
                    return done;
                }),
                Domains.of("unmap-9", "counts pages", "unmap", call -> (long) call.proceed() / page(call)),
                Domains.of(
                        "unmap-9",
                        "returns what was asked for",
                        "unmap",
                        call -> call.proceed().equals(0L) ? (Object) 0L : (Object) call.number(1)),
                Domains.of(
                        "unmap-10",
                        "calls a hole a page",
                        "unmap",
                        call -> Math.max((long) call.proceed(), page(call))),
                Domains.of(
                        "unmap-10",
                        "rounds addresses down",
                        "unmap",
                        call -> call.with(0, call.number(0) & -page(call)).proceed()),
                Domains.of(
                        "unmap-10",
                        "rounds sizes up",
                        "unmap",
                        when(
                                call -> call.number(1) > 0,
                                call -> call.with(1, call.number(1) + page(call) - 1 & -page(call))
                                        .proceed())),
                Domains.of(
                        "unmap-10",
                        "cuts a range at the aperture's end",
                        "unmap",
                        when(
                                call -> Long.compareUnsigned(
                                                call.number(1) - 1, domain(call).apertureEnd() - call.number(0))
                                        > 0,
                                call -> call.with(1, domain(call).apertureEnd() - call.number(0) + 1)
                                        .proceed())),
                Domains.of(
                        "unmap-10",
                        "unmaps in a domain without tables",
                        "unmap",
                        call -> domain(call).pageSizes() == 0 ? (Object) call.number(1) : call.proceed()),
                silent("unmap-11", "unmap", 0L, Errno.ENODEV),
                misnamed("unmap-11", "unmap", Errno.ENODEV, Errno.EINVAL));
    }

    /** Adds a part of a gather to another. */
    private static void add(IotlbGather to, IotlbGather from, long start, long end) {
        if (from.hasRange()) {
            to.addRange(start, end);
        }
        for (int i = 0; i < from.frameCount(); i++) {
            to.addFrame(from.frame(i), from.order(i));
        }
    }

    private static Saboteur gathers(String promise, String about, boolean always, long before, long after) {
        return Domains.of(promise, about, "unmap", call -> {
            IotlbGather own = new IotlbGather();
            long done = domain(call).unmap(call.number(0), call.number(1), own);
            IotlbGather given = call.argument(2, IotlbGather.class);
            if (done != 0) {
                add(given, own, own.start() - before * page(call), own.end() + after * page(call));
            } else if (always) {
                given.addRange(call.number(0), call.number(0) + page(call) - 1);
            }
            return done;
        });
    }

    private static List<Saboteur> gathering() {
        return List.of(
                gathers("unmap-6", "gathers a page more", false, 0, 1),
                gathers("unmap-6", "gathers the page before", false, 1, 0),
                gathers("unmap-6", "gathers all but the first page", false, -1, 0),
                gathers("unmap-6", "gathers where nothing was unmapped", true, 0, 0),
                Domains.of("unmap-6", "gathers what was asked for", "unmap", call -> {
                    Object done = call.proceed();
                    if (!done.equals(0L)) {
                        call.argument(2, IotlbGather.class)
                                .addRange(call.number(0), call.number(0) + call.number(1) - 1);
                    }
                    return done;
                }),
                Domains.of("unmap-7", "frees tables before sync", "unmap", call -> {
                    Object done = call.proceed();
                    IotlbGather gather = call.argument(2, IotlbGather.class);
                    if (gather.frameCount() > 0) {
                        long start = gather.start();
                        long end = gather.end();
                        domain(call).sync(gather);
                        gather.addRange(start, end);
                    }
                    return done;
                }),
                Domains.of("unmap-7", "loses one of several tables", "unmap", call -> {
                    IotlbGather own = new IotlbGather();
                    Object done = domain(call).unmap(call.number(0), call.number(1), own);
                    IotlbGather given = call.argument(2, IotlbGather.class);
                    if (own.hasRange()) {
                        given.addRange(own.start(), own.end());
                    }
                    for (int i = own.frameCount() > 1 ? 1 : 0; i < own.frameCount(); i++) {
                        given.addFrame(own.frame(i), own.order(i));
                    }
                    return done;
                }),
                Domains.of("unmap-8", "loses the tables that find no room", "unmap", call -> {
                    IotlbGather own = new IotlbGather();
                    Object done = domain(call).unmap(call.number(0), call.number(1), own);
                    add(call.argument(2, IotlbGather.class), own, own.start(), own.end());
                    return done;
                }),
                Domains.of("unmap-8", "empties a full gather without a sync", "unmap", call -> {
                    IotlbGather gather = call.argument(2, IotlbGather.class);
                    if (gather.frameCount() == IotlbGather.MAX_FRAMES) {
                        gather.reset();
                    }
                    return call.proceed();
                }),
                Domains.of(
                        "unmap-8",
                        "does not go on where a gather is full",
                        "unmap",
                        when(
                                call -> call.argument(2, IotlbGather.class).frameCount() == IotlbGather.MAX_FRAMES,
                                call -> 0L)));
    }

    private static List<Saboteur> syncing() {
        return List.of(
                Domains.of("sync-1", "leaves the gather as it is", "sync", call -> {
                    IotlbGather gather = call.argument(0, IotlbGather.class);
                    IotlbGather copy = new IotlbGather();
                    add(copy, gather, gather.start(), gather.end());
                    domain(call).sync(copy);
                    return null;
                }),
                Saboteur.of("sync-1", "frees none of its frames", () -> {
                    boolean[] syncing = new boolean[1];
                    return List.of(
                            new Change(IommuDomain.class, "sync", call -> {
                                syncing[0] = true;
                                try {
                                    return call.proceed();
                                } finally {
                                    syncing[0] = false;
                                }
                            }),
                            new Change(FrameAllocator.class, "free", when(call -> syncing[0], call -> null)));
                }),
                withoutTables("sync-1"),
                withoutPages("sync-2"),
                // Subjects whose devices have translation caches.
                forgetful(
                                "sync-2",
                                "tells the device of another page",
                                ForgetfulMemory::withoutVtdDeviceTlbInvalidation,
                                ForgetfulMemory::withoutAmdIotlbInvalidation)
                        .where(Ability.PASID),
                Domains.of(
                                "sync-2",
                                "invalidates nothing where no table went",
                                "sync",
                                when(call -> call.argument(0, IotlbGather.class).frameCount() == 0, call -> {
                                    call.argument(0, IotlbGather.class).reset();
                                    return null;
                                }))
                        .where(Ability.TRANSLATION_CACHE),
                Domains.of("sync-2", "leaves out the last page", "sync", call -> {
                            IotlbGather gather = call.argument(0, IotlbGather.class);
                            IotlbGather copy = new IotlbGather();
                            add(copy, gather, gather.start(), gather.end() - page(call));
                            gather.reset();
                            domain(call).sync(copy);
                            return null;
                        })
                        .where(Ability.TRANSLATION_CACHE),
                Domains.of("sync-2", "leaves out the second half of large ranges", "sync", call -> {
                            IotlbGather gather = call.argument(0, IotlbGather.class);
                            long size = gather.end() - gather.start() + 1;
                            IotlbGather copy = new IotlbGather();
                            add(
                                    copy,
                                    gather,
                                    gather.start(),
                                    size > 8 * page(call) ? gather.start() + size / 2 - 1 : gather.end());
                            gather.reset();
                            domain(call).sync(copy);
                            return null;
                        })
                        .on(Offers::smallInvalidations)
                        .where(Ability.TRANSLATION_CACHE),
                with("sync-2", "forgets every fourth sync", "sync", () -> {
                            int[] calls = new int[1];
                            return when(
                                    call -> call.argument(0, IotlbGather.class).frameCount() == 0
                                            && ++calls[0] % 4 == 0,
                                    call -> {
                                        call.argument(0, IotlbGather.class).reset();
                                        return null;
                                    });
                        })
                        .where(Ability.TRANSLATION_CACHE),
                Domains.of("sync-3", "sends a command for nothing", "sync", call -> {
                            IotlbGather gather = call.argument(0, IotlbGather.class);
                            if (gather.isEmpty() && domain(call).pageSizes() != 0) {
                                gather.addRange(0, page(call) - 1);
                            }
                            return call.proceed();
                        })
                        .where(Ability.COMPLETION),
                with("sync-3", "notices a broken unit without a need", "sync", () -> {
                            boolean[] broken = new boolean[1];
                            return call -> {
                                if (broken[0]) {
                                    throw new IommuException(Errno.EIO, "sabotage");
                                }
                                try {
                                    return call.proceed();
                                } catch (IommuException e) {
                                    broken[0] = NOT_COMPLETED.contains(e.errno());
                                    throw e;
                                }
                            };
                        })
                        .where(Ability.COMPLETION),
                silent("sync-4", "sync", null, Errno.ETIMEDOUT, Errno.EIO).where(Ability.COMPLETION),
                Domains.of("sync-4", "leaves the range on the gather", "sync", afterError(NOT_COMPLETED, call -> {
                            call.argument(0, IotlbGather.class).addRange(0, page(call) - 1);
                            return null;
                        }))
                        .where(Ability.COMPLETION),
                Saboteur.of("sync-4", "frees the frames all the same", () -> {
                            Opened opened = new Opened();
                            return List.of(opened.change(), new Change(IommuDomain.class, "sync", call -> {
                                IotlbGather gather = call.argument(0, IotlbGather.class);
                                IotlbGather copy = new IotlbGather();
                                add(copy, gather, 0, 0);
                                try {
                                    return call.proceed();
                                } catch (IommuException e) {
                                    for (int i = 0; i < copy.frameCount() && e.errno() != Errno.ENODEV; i++) {
                                        opened.frames().free(copy.frame(i), copy.order(i));
                                    }
                                    throw e;
                                }
                            }));
                        })
                        .where(Ability.COMPLETION)
                        .where(traits -> traits.tables() == Traits.Tables.IN_FRAMES),
                silent("sync-5", "sync", null, Errno.ENODEV),
                Domains.of(
                        "sync-5",
                        "notices nothing where nothing is gathered",
                        "sync",
                        when(call -> call.argument(0, IotlbGather.class).isEmpty(), call -> null)));
    }
}
