// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import static org.iommu4j.it.tck.Handlers.caught;
import static org.iommu4j.it.tck.Handlers.refuse;
import static org.iommu4j.it.tck.Handlers.swap;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.function.Supplier;
import org.iommu4j.AttachResult;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.capability.CacheCoherencyEnforcement;
import org.iommu4j.it.tck.Interposer.Change;
import org.iommu4j.it.tck.Interposer.Handler;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.VendorContext;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Traits;
import org.iommu4j.tck.Traits.Enforcement;

/** Domains whose attachments and whose control over no-snoop are wrong. */
final class AttachingSaboteurs {
    private AttachingSaboteurs() {}

    static List<Saboteur> all() {
        return Saboteur.all(attaching(), detaching(), enforcing());
    }

    private static Saboteur of(String promise, String about, String method, Handler handler) {
        return Saboteur.of(promise, about, IommuDomain.class, method, handler);
    }

    private static Saboteur with(String promise, String about, String method, Supplier<Handler> handler) {
        return Saboteur.with(promise, about, IommuDomain.class, method, handler);
    }

    /** Knows where each device is: the real device to the real domain. */
    private static Saboteur where(String promise, String about, Function<Places, Handler> attach) {
        return Saboteur.of(promise, about, () -> {
            Places places = new Places();
            Handler handler = attach.apply(places);
            return List.of(
                    new Change(IommuDomain.class, "attach", call -> {
                        IommuDevice device = call.argument(0, IommuDevice.class);
                        Object result = handler.handle(call);
                        if (result instanceof AttachResult answer && answer.attached()) {
                            places.of.put(device, call.target(IommuDomain.class));
                        }
                        return result;
                    }),
                    new Change(IommuDomain.class, "detach", call -> {
                        Object result = call.proceed();
                        places.of.remove(call.argument(0, IommuDevice.class));
                        return result;
                    }));
        });
    }

    /** Where devices are. */
    private static final class Places {
        private final Map<IommuDevice, IommuDomain> of = new HashMap<>();
    }

    private static List<Saboteur> attaching() {
        return List.of(
                where("attach-1", "leaves a device where it is", places -> call -> {
                    IommuDomain old = places.of.get(call.argument(0, IommuDevice.class));
                    return old == null || old == call.target(IommuDomain.class)
                            ? call.proceed()
                            : AttachResult.ATTACHED;
                }),
                Saboteur.with("attach-1", "moves a device once", IommuDomain.class, "attach", () -> {
                    AtomicInteger count = new AtomicInteger();
                    return call -> count.incrementAndGet() > 3 ? AttachResult.ATTACHED : call.proceed();
                }),
                with("attach-2", "can't be closed when a device was there", "close", () -> {
                    Set<Object> closed = new HashSet<>();
                    return call -> closed.add(call.target(IommuDomain.class))
                                    && call.target(IommuDomain.class).type() == DomainType.UNMANAGED
                            ? refuse(Errno.EBUSY)
                            : call.proceed();
                }),
                Saboteur.of("attach-2", "takes the other devices out when one moves", () -> {
                    Map<IommuDevice, IommuDomain> at = new HashMap<>();
                    return List.of(new Change(IommuDomain.class, "attach", call -> {
                        IommuDevice device = call.argument(0, IommuDevice.class);
                        IommuDomain old = at.get(device);
                        IommuDomain here = call.target(IommuDomain.class);
                        Object result = call.proceed();
                        at.put(device, here);
                        if (old != null && old != here) {
                            for (Map.Entry<IommuDevice, IommuDomain> other :
                                    Map.copyOf(at).entrySet()) {
                                if (other.getValue() == old) {
                                    old.detach(other.getKey());
                                    at.remove(other.getKey());
                                }
                            }
                        }
                        return result;
                    }));
                }),
                where(
                        "attach-3",
                        "is incompatible with what it has",
                        places -> call ->
                                places.of.get(call.argument(0, IommuDevice.class)) == call.target(IommuDomain.class)
                                        ? AttachResult.incompatible("sabotage")
                                        : call.proceed()),
                where("attach-3", "attaches anew", places -> call -> {
                    IommuDevice device = call.argument(0, IommuDevice.class);
                    IommuDomain here = call.target(IommuDomain.class);
                    if (places.of.get(device) == here) {
                        here.iommu().allocate(DomainType.DMA, device);
                    }
                    return call.proceed();
                }),
                with("attach-4", "keeps something of each fiftieth attachment", "attach", () -> {
                    AtomicInteger count = new AtomicInteger();
                    return call -> {
                        Object result = call.proceed();
                        if (count.incrementAndGet() % 50 == 0) {
                            call.target(IommuDomain.class)
                                    .iommu()
                                    .allocate(DomainType.UNMANAGED, call.argument(0, IommuDevice.class));
                        }
                        return result;
                    };
                }),
                of("attach-5", "answers nothing", "attach", call -> {
                    call.proceed();
                    return null;
                }),
                of("attach-5", "has a blank reason", "attach", call -> {
                    call.proceed();
                    return AttachResult.incompatible(" ");
                }),
                where("attach-12", "does with an incompatible device what it denies", places -> call -> {
                            IommuDevice device = call.argument(0, IommuDevice.class);
                            AttachResult result = (AttachResult) call.proceed();
                            IommuDomain old = places.of.get(device);
                            if (!result.attached() && old != null) {
                                if (device.iommu().blocksBeforeAttach()) {
                                    old.attach(device);
                                } else {
                                    old.detach(device);
                                    places.of.remove(device);
                                }
                            }
                            return result;
                        })
                        .where(Ability.INCOMPATIBLE),
                Saboteur.of("blocks-first-2", "says otherwise", Iommu.class, "blocksBeforeAttach", call ->
                                !(boolean) call.proceed())
                        .where(Ability.INCOMPATIBLE),
                of("attach-7", "fails where there is no frame", "attach", call -> {
                    try {
                        call.target(IommuDomain.class)
                                .iommu()
                                .allocate(DomainType.UNMANAGED, call.argument(0, IommuDevice.class))
                                .close();
                    } catch (IommuException e) {
                        if (e.errno() == Errno.ENOMEM) {
                            return refuse(Errno.EIO);
                        }
                    }
                    return call.proceed();
                }),
                where(
                                "attach-8",
                                "has one id",
                                places -> call -> places.of.isEmpty()
                                                || places.of.get(call.argument(0, IommuDevice.class)) != null
                                        ? call.proceed()
                                        : refuse(Errno.ENOSPC))
                        .where(traits -> !traits.has(Ability.ID_PER_ATTACHMENT)),
                of(
                                "attach-9",
                                "takes a time-out for success",
                                "attach",
                                caught(Errno.ETIMEDOUT, () -> AttachResult.ATTACHED))
                        .where(Ability.COMPLETION),
                of("attach-9", "takes a time-out for a failure", "attach", swap(Errno.ETIMEDOUT, Errno.EINVAL))
                        .where(Ability.COMPLETION),
                of(
                        "attach-10",
                        "is incompatible with a stranger",
                        "attach",
                        caught(Errno.ENODEV, () -> AttachResult.incompatible("sabotage"))),
                of("attach-10", "finds a stranger invalid", "attach", swap(Errno.ENODEV, Errno.EINVAL)),
                where("attach-11", "takes a device out when it fails", places -> call -> {
                    IommuDevice device = call.argument(0, IommuDevice.class);
                    try {
                        return call.proceed();
                    } catch (IommuException e) {
                        IommuDomain old = places.of.get(device);
                        if (old != null && e.errno() == Errno.ENODEV) {
                            old.detach(device);
                        }
                        throw e;
                    }
                }));
    }

    private static List<Saboteur> detaching() {
        return List.of(
                of("detach-1", "leaves the device in", "detach", call -> null),
                with("detach-1", "leaves a device in at the second time", "detach", () -> {
                    AtomicInteger count = new AtomicInteger();
                    return call -> count.incrementAndGet() == 2 ? null : call.proceed();
                }),
                Saboteur.of("detach-2", "takes a frame for the time of the call", () -> {
                    FrameAllocator[] frames = new FrameAllocator[1];
                    return List.of(
                            new Change(IommuVendor.class, "open", call -> {
                                frames[0] =
                                        call.argument(0, VendorContext.class).frames();
                                return call.proceed();
                            }),
                            new Change(IommuDomain.class, "detach", call -> {
                                frames[0].free(frames[0].allocate(0), 0);
                                return call.proceed();
                            }));
                }),
                of("detach-3", "is glad that a device is not there", "detach", caught(Errno.EINVAL, () -> null)),
                of("detach-3", "has no such device", "detach", swap(Errno.EINVAL, Errno.ENODEV)),
                of("detach-4", "does not notice a time-out", "detach", caught(Errno.ETIMEDOUT, () -> null))
                        .where(Ability.COMPLETION),
                of("detach-4", "does not notice a broken unit", "detach", caught(Errno.EIO, () -> null))
                        .where(Ability.COMPLETION),
                of("detach-5", "finds a stranger invalid", "detach", swap(Errno.ENODEV, Errno.EINVAL)),
                of("detach-5", "is glad that a stranger is not there", "detach", caught(Errno.ENODEV, () -> null)));
    }

    private static Saboteur control(String promise, String about, Supplier<Handler> handler) {
        return Saboteur.with(promise, about, CacheCoherencyEnforcement.class, "enforce", handler)
                .where(Ability.ENFORCEMENT);
    }

    private static boolean grants(Traits traits) {
        return traits.enforcement() == Enforcement.GRANTED;
    }

    private static List<Saboteur> enforcing() {
        return List.of(
                control("enforce-8", "promises and does nothing", () -> call -> true)
                        .where(AttachingSaboteurs::grants),
                Saboteur.of("enforce-9", "promises, and leaves earlier mappings until there is a later one", () -> {
                            List<CacheCoherencyEnforcement> promised = new ArrayList<>();
                            return List.of(
                                    new Change(CacheCoherencyEnforcement.class, "enforce", call -> {
                                        promised.add(call.target(CacheCoherencyEnforcement.class));
                                        return true;
                                    }),
                                    new Change(IommuDomain.class, "map", call -> {
                                        promised.forEach(CacheCoherencyEnforcement::enforce);
                                        return call.proceed();
                                    }));
                        })
                        .where(traits -> grants(traits) && traits.has(Ability.EARLIER_MAPPINGS)),
                Saboteur.of("enforce-10", "takes no device at all once it promised", () -> {
                            AtomicBoolean asked = new AtomicBoolean();
                            return List.of(
                                    new Change(CacheCoherencyEnforcement.class, "enforce", call -> {
                                        asked.set(true);
                                        return call.proceed();
                                    }),
                                    new Change(
                                            IommuDomain.class,
                                            "attach",
                                            call -> asked.get()
                                                    ? AttachResult.incompatible("sabotage")
                                                    : call.proceed()));
                        })
                        .where(Ability.ENFORCEMENT),
                of("enforce-10", "takes a device that can't", "attach", call -> {
                            AttachResult result = (AttachResult) call.proceed();
                            return result.attached() ? result : AttachResult.ATTACHED;
                        })
                        .where(Ability.INCOMPATIBLE),
                control("enforce-3", "takes its promise back", () -> {
                    AtomicInteger count = new AtomicInteger();
                    return call -> count.incrementAndGet() % 2 != 0 && (boolean) call.proceed();
                }),
                Saboteur.of("enforce-4", "binds all later domains", () -> {
                            AtomicBoolean asked = new AtomicBoolean();
                            return List.of(
                                    new Change(CacheCoherencyEnforcement.class, "enforce", call -> {
                                        asked.set(true);
                                        return call.proceed();
                                    }),
                                    new Change(IommuDomain.class, "attach", call -> {
                                        Object result = call.proceed();
                                        if (asked.get()) {
                                            call.target(IommuDomain.class)
                                                    .cacheCoherencyEnforcement()
                                                    .orElseThrow()
                                                    .enforce();
                                        }
                                        return result;
                                    }));
                        })
                        .where(AttachingSaboteurs::grants),
                control("enforce-5", "never promises", () -> call -> {
                    call.proceed();
                    return false;
                }),
                control("enforce-6", "promises what is not confirmed", () -> caught(Errno.ETIMEDOUT, () -> true))
                        .where(traits -> grants(traits) && !traits.has(Ability.WRITE_ONLY)),
                control("enforce-6", "takes a time-out for no", () -> caught(Errno.ETIMEDOUT, () -> false))
                        .where(traits -> grants(traits) && !traits.has(Ability.WRITE_ONLY)),
                control("enforce-7", "says no when it is closed", () -> caught(Errno.ENODEV, () -> false)),
                control("enforce-7", "finds itself invalid", () -> swap(Errno.ENODEV, Errno.EINVAL)));
    }
}
