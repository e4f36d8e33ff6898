// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import static org.iommu4j.it.tck.Domains.domain;
import static org.iommu4j.it.tck.Domains.page;
import static org.iommu4j.it.tck.Domains.unmap;
import static org.iommu4j.it.tck.Handlers.afterError;
import static org.iommu4j.it.tck.Handlers.when;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.Prot;
import org.iommu4j.capability.CacheCoherencyEnforcement;
import org.iommu4j.it.tck.Domains.Opened;
import org.iommu4j.it.tck.Interposer.Change;
import org.iommu4j.tck.Ability;

/** Saboteurs at edges: of tables, of the aperture, of addresses, of logs. */
final class SubtleSaboteurs {
    private static final long TABLE = 1L << 21;

    private SubtleSaboteurs() {}

    static List<Saboteur> all() {
        return Saboteur.all(mapping(), unmapping(), domains(), drivers());
    }

    private static List<Saboteur> mapping() {
        return List.of(
                Domains.of(
                                "translate-1",
                                "loses bit 51 of physical addresses",
                                "map",
                                call -> call.with(1, call.number(1) & ~(1L << 51))
                                        .proceed())
                        .where(traits -> traits.physicalBits() > 51),
                Domains.of(
                        "map-2",
                        "leaves what is inside the aperture",
                        "map",
                        afterError(List.of(Errno.ERANGE), call -> {
                            long room = domain(call).apertureEnd() - call.number(0) + 1;
                            long pages = Long.divideUnsigned(room, Math.max(1, call.number(2)));
                            return pages > 0 && pages < call.number(3)
                                    ? call.with(3, pages).proceed()
                                    : null;
                        })),
                without("NOEXEC", Prot.NOEXEC),
                without("MMIO", Prot.MMIO),
                without("PRIV", Prot.PRIV),
                Domains.of(
                                "map-9",
                                "cuts physical addresses of large pages",
                                "map",
                                when(
                                        call -> call.number(2) > page(call),
                                        call -> call.with(1, call.number(1) & (1L << 52) - 1)
                                                .proceed()))
                        .on(Offers::largePages));
    }

    private static Saboteur without(String name, int hint) {
        return Domains.of(
                "map-5",
                "takes writing from pages with " + name,
                "map",
                when(
                        call -> (call.number(4) & hint) != 0,
                        call -> call.with(4, ((int) call.number(4) & ~Prot.WRITE) | Prot.READ)
                                .proceed()));
    }

    private static List<Saboteur> unmapping() {
        return List.of(
                Domains.of(
                        "unmap-9",
                        "leaves the last page of long runs",
                        "unmap",
                        when(call -> call.number(1) > 100 * page(call), call -> {
                            long all = call.number(1);
                            long done = (long) call.with(1, all - page(call)).proceed();
                            return done == all - page(call) ? all : done;
                        })),
                Domains.of(
                        "unmap-1",
                        "leaves the last page before a table's end",
                        "unmap",
                        when(
                                call -> call.number(1) > page(call) && (call.number(0) + call.number(1)) % TABLE == 0,
                                call -> {
                                    long end = call.number(0) + call.number(1);
                                    long all = call.number(1);
                                    long done = (long)
                                            call.with(1, all - page(call)).proceed();
                                    if (done != all - page(call)) {
                                        return done;
                                    }
                                    call.argument(2, IotlbGather.class).addRange(end - page(call), end - 1);
                                    return all;
                                })),
                Domains.of("unmap-5", "unmaps a page one table on", "unmap", call -> {
                    long done = (long) call.proceed();
                    if (done == page(call)) {
                        unmap(domain(call), call.number(0) + TABLE, page(call));
                    }
                    return done;
                }),
                Domains.of(
                        "sync-2",
                        "leaves out the aperture's last page",
                        "sync",
                        when(
                                call -> call.argument(0, IotlbGather.class).hasRange()
                                        && call.argument(0, IotlbGather.class).end()
                                                == domain(call).apertureEnd(),
                                call -> {
                                    call.argument(0, IotlbGather.class).reset();
                                    return null;
                                })),
                Domains.of(
                        "sync-2",
                        "leaves out page 0",
                        "sync",
                        when(
                                call -> call.argument(0, IotlbGather.class).hasRange()
                                        && call.argument(0, IotlbGather.class).start() == 0,
                                call -> {
                                    call.argument(0, IotlbGather.class).reset();
                                    return null;
                                })));
    }

    private static List<Saboteur> domains() {
        return List.of(
                Domains.of(
                                "translate-2",
                                "finds pages beyond the aperture",
                                "translate",
                                when(
                                        call -> domain(call).type().isPaging(),
                                        call -> call.with(
                                                        0,
                                                        call.number(0)
                                                                & domain(call).apertureEnd())
                                                .proceed()))
                        .where(traits -> traits.addressBits() < 64),
                Domains.of(
                                "translate-3",
                                "has 52 bits of identity",
                                "translate",
                                when(
                                        call -> domain(call).type() == DomainType.IDENTITY
                                                && call.number(0) >>> 52 != 0,
                                        call -> IommuDomain.UNMAPPED))
                        .where(Ability.IDENTITY),
                Saboteur.of("close-1", "keeps a frame for no-snoop", () -> {
                            Opened opened = new Opened();
                            return List.of(
                                    opened.change(), new Change(CacheCoherencyEnforcement.class, "enforce", call -> {
                                        opened.frames().allocate(0);
                                        return call.proceed();
                                    }));
                        })
                        .where(Ability.ENFORCEMENT),
                Saboteur.of("domain-5", "closes the others when it can't be closed", () -> {
                    List<IommuDomain> all = new ArrayList<>();
                    return List.of(
                            new Change(Iommu.class, "allocate", call -> {
                                IommuDomain domain = (IommuDomain) call.proceed();
                                all.add(domain);
                                return domain;
                            }),
                            new Change(IommuDomain.class, "close", afterError(List.of(Errno.EBUSY), call -> {
                                all.stream()
                                        .filter(each -> each != domain(call))
                                        .forEach(IommuDomain::close);
                                return null;
                            })));
                }));
    }

    private static List<Saboteur> drivers() {
        return List.of(
                Saboteur.of(
                                "faults-1",
                                "reports requests alike once",
                                Iommu.class,
                                "takeFaults",
                                call -> ((List<?>) call.proceed())
                                        .stream().distinct().toList())
                        .where(Ability.FAULT_REPORTS),
                Saboteur.of(
                                "faults-1",
                                "loses reports when it is asked for lost ones",
                                Iommu.class,
                                "faultOverflows",
                                call -> {
                                    call.target(Iommu.class).takeFaults();
                                    return call.proceed();
                                })
                        .where(Ability.FAULT_REPORTS),
                Saboteur.of("allocate-1", "has a page at the end of a new domain", Iommu.class, "allocate", call -> {
                    IommuDomain domain = (IommuDomain) call.proceed();
                    if (domain.type().isPaging()) {
                        long page = Long.lowestOneBit(domain.pageSizes());
                        domain.map(domain.apertureEnd() - page + 1, 0, page, 1, Prot.READ_WRITE);
                    }
                    return domain;
                }),
                Saboteur.of("reserved-1", "has no regions while a device is attached", () -> {
                    boolean[] attached = new boolean[1];
                    return List.of(
                            new Change(IommuDomain.class, "attach", call -> {
                                attached[0] = true;
                                return call.proceed();
                            }),
                            new Change(
                                    IommuDevice.class,
                                    "reservedRegions",
                                    call -> attached[0] ? List.of() : call.proceed()));
                }));
    }
}
