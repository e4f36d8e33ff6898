// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import static org.iommu4j.it.tck.Handlers.afterError;
import static org.iommu4j.it.tck.Handlers.onError;
import static org.iommu4j.it.tck.Handlers.refuse;
import static org.iommu4j.it.tck.Handlers.when;
import static org.iommu4j.tck.Ability.DIRTY_TRACKING;
import static org.iommu4j.tck.Ability.NESTING;
import static org.iommu4j.tck.Ability.PAGE_REQUESTS;
import static org.iommu4j.tck.Ability.PASID;

import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.ConcurrentModificationException;
import java.util.HashMap;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.LongPredicate;
import java.util.function.LongUnaryOperator;
import java.util.function.Supplier;
import org.iommu4j.AttachResult;
import org.iommu4j.DirtyBitmap;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.PageRequest;
import org.iommu4j.PageRequestGroup;
import org.iommu4j.PageResponse;
import org.iommu4j.capability.DirtyTracking;
import org.iommu4j.capability.GuestInvalidation;
import org.iommu4j.capability.GuestInvalidationRequest;
import org.iommu4j.capability.Nesting;
import org.iommu4j.capability.PageRequests;
import org.iommu4j.capability.PasidAttachment;
import org.iommu4j.it.sabotage.ForgetfulMemory;
import org.iommu4j.it.tck.Interposer.Call;
import org.iommu4j.it.tck.Interposer.Change;
import org.iommu4j.it.tck.Interposer.Handler;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.VendorContext;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Traits.Enforcement;

/** Capabilities that are wrong: written pages, PASIDs, page requests, nesting. */
final class CapabilitySaboteurs {
    private static final List<Errno> NOT_COMPLETED = List.of(Errno.ETIMEDOUT, Errno.EIO);
    private static final long PAGE = 4096;

    /** Where the kit maps in the subjects. */
    private static final long IOVA = 1L << 38;

    private CapabilitySaboteurs() {}

    static List<Saboteur> all() {
        return Saboteur.all(
                starting(),
                reading(),
                attaching(),
                detaching(),
                handingOut(),
                stopping(),
                taking(),
                answering(),
                nesting(),
                invalidating());
    }

    /** Saboteurs of one interface. */
    private record Of(Class<?> type, Ability ability) {
        Saboteur of(String promise, String about, String method, Handler handler) {
            return Saboteur.of(promise, about, type, method, handler).where(ability);
        }

        Saboteur with(String promise, String about, String method, Supplier<Handler> handler) {
            return Saboteur.with(promise, about, type, method, handler).where(ability);
        }

        Saboteur changes(String promise, String about, Supplier<List<Change>> changes) {
            return Saboteur.of(promise, about, changes).where(ability);
        }

        /** Two: refusals are swallowed, or have another errno. */
        List<Saboteur> errno(String promise, String method, Object result, Errno other, List<Errno> errnos) {
            return List.of(
                    of(promise, method + " hides " + errnos, method, onError(errnos, call -> result)),
                    of(
                            promise,
                            method + " throws " + other + " for " + errnos,
                            method,
                            onError(errnos, call -> refuse(other))),
                    with(promise, method + " throws " + errnos + " the first time only", method, () -> {
                        AtomicInteger times = new AtomicInteger();
                        return onError(
                                (call, errno) -> errnos.contains(errno) && times.getAndIncrement() > 0, call -> result);
                    }));
        }
    }

    private static final Of DIRTY = new Of(DirtyTracking.class, DIRTY_TRACKING);
    private static final Of PASIDS = new Of(PasidAttachment.class, PASID);
    private static final Of PAGES = new Of(PageRequests.class, PAGE_REQUESTS);
    private static final Of NEST = new Of(Nesting.class, NESTING);
    private static final Of GUEST = new Of(GuestInvalidation.class, NESTING);

    /** Handlers that remember something for each object. */
    private static final class Memory {
        private final Map<Object, Integer> numbers = new HashMap<>();

        int next(Object key) {
            return numbers.merge(key, 1, Integer::sum);
        }
    }

    // Written pages.

    private static final String SET = "setDirtyTracking";
    private static final String READ = "readAndClearDirty";

    private static boolean enabled(Call call) {
        return call.argument(0, Boolean.class);
    }

    private static boolean clear(Call call) {
        return call.argument(1, Boolean.class);
    }

    private static DirtyBitmap bitmap(Call call) {
        return call.argument(0, DirtyBitmap.class);
    }

    private static List<Saboteur> starting() {
        List<Saboteur> all = new ArrayList<>();
        all.add(DIRTY.of("set-dirty-1", "never stops", SET, when(call -> !enabled(call), call -> null)));
        all.add(DIRTY.with("set-dirty-1", "starts once only", SET, () -> {
            Memory starts = new Memory();
            return call -> enabled(call) && starts.next(call.target(Object.class)) > 1 ? null : call.proceed();
        }));
        all.add(DIRTY.changes("set-dirty-1", "records no device that comes later", () -> {
            Set<Object> on = new HashSet<>();
            Set<Object> pretended = new HashSet<>();
            return List.of(
                    new Change(DirtyTracking.class, SET, call -> {
                        Object result = call.proceed();
                        pretended.remove(call.target(Object.class));
                        if (enabled(call)) {
                            on.add(call.target(Object.class));
                        } else {
                            on.remove(call.target(Object.class));
                        }
                        return result;
                    }),
                    new Change(
                            DirtyTracking.class,
                            READ,
                            call -> pretended.contains(call.target(Object.class)) ? null : call.proceed()),
                    new Change(IommuDomain.class, "attach", call -> {
                        DirtyTracking tracking =
                                call.target(IommuDomain.class).dirtyTracking().orElse(null);
                        if (tracking != null && on.contains(tracking)) {
                            tracking.setDirtyTracking(false);
                            pretended.add(tracking);
                        }
                        return call.proceed();
                    }));
        }));
        all.add(DIRTY.of("set-dirty-2", "clears at a start", SET, call -> {
            Object result = call.proceed();
            if (enabled(call)) {
                call.target(DirtyTracking.class).readAndClearDirty(new DirtyBitmap(IOVA, PAGE, 64), true);
            }
            return result;
        }));
        all.add(DIRTY.with("set-dirty-2", "clears the last page at the third start", SET, () -> {
            Memory starts = new Memory();
            return call -> {
                Object result = call.proceed();
                if (enabled(call) && starts.next(call.target(Object.class)) == 3) {
                    call.target(DirtyTracking.class)
                            .readAndClearDirty(new DirtyBitmap(IOVA + 199 * PAGE, PAGE, 1), true);
                }
                return result;
            };
        }));
        all.add(DIRTY.of("set-dirty-2", "clears at a stop", SET, call -> {
            if (!enabled(call)) {
                try {
                    call.target(DirtyTracking.class).readAndClearDirty(new DirtyBitmap(IOVA, PAGE, 1024), true);
                } catch (IommuException off) {
                    return call.proceed();
                }
            }
            return call.proceed();
        }));
        all.add(DIRTY.changes("set-dirty-3", "stops at a second start", () -> {
            Set<Object> on = new HashSet<>();
            return List.of(new Change(DirtyTracking.class, SET, call -> {
                boolean twice = enabled(call) && !on.add(call.target(Object.class));
                if (!enabled(call) || twice) {
                    on.remove(call.target(Object.class));
                }
                return twice ? call.with(0, false).proceed() : call.proceed();
            }));
        }));
        all.add(DIRTY.changes("set-dirty-3", "takes as many stops as starts", () -> {
            Map<Object, Integer> starts = new HashMap<>();
            return List.of(new Change(DirtyTracking.class, SET, call -> {
                int count = starts.merge(call.target(Object.class), enabled(call) ? 1 : -1, Integer::sum);
                if (count < 0) {
                    starts.put(call.target(Object.class), 0);
                }
                return !enabled(call) && count > 0 ? null : call.proceed();
            }));
        }));
        all.add(DIRTY.changes("set-dirty-3", "clears at a second start", () -> {
            Set<Object> on = new HashSet<>();
            return List.of(new Change(DirtyTracking.class, SET, call -> {
                Object result = call.proceed();
                if (!enabled(call)) {
                    on.remove(call.target(Object.class));
                } else if (!on.add(call.target(Object.class))) {
                    call.target(DirtyTracking.class).readAndClearDirty(new DirtyBitmap(IOVA, PAGE, 64), true);
                }
                return result;
            }));
        }));
        all.add(DIRTY.changes("set-dirty-3", "refuses a second stop", () -> {
            Set<Object> on = new HashSet<>();
            return List.of(new Change(DirtyTracking.class, SET, call -> {
                if (enabled(call)) {
                    on.add(call.target(Object.class));
                } else if (!on.remove(call.target(Object.class))) {
                    throw new IommuException(Errno.EINVAL, "sabotage");
                }
                return call.proceed();
            }));
        }));
        all.addAll(DIRTY.errno("set-dirty-4", SET, null, Errno.ENODEV, NOT_COMPLETED)
                .subList(0, 2));
        all.add(DIRTY.of(
                "set-dirty-4",
                "hides that a stop timed out",
                SET,
                onError((call, errno) -> !enabled(call) && NOT_COMPLETED.contains(errno), call -> null)));
        all.add(DIRTY.changes("set-dirty-4", "has started when it says that it did not", () -> {
            Set<Object> failed = new HashSet<>();
            return List.of(
                    new Change(
                            DirtyTracking.class,
                            SET,
                            afterError(NOT_COMPLETED, call -> enabled(call) && failed.add(call.target(Object.class)))),
                    new Change(
                            DirtyTracking.class,
                            READ,
                            when(call -> failed.contains(call.target(Object.class)), call -> null)));
        }));
        all.addAll(DIRTY.errno("set-dirty-5", SET, null, Errno.EINVAL, List.of(Errno.ENODEV)));
        return all;
    }

    /** Reads into a bitmap of its own, and marks some of what is there. */
    private static Object marking(Call call, LongPredicate pages) throws Throwable {
        DirtyBitmap given = bitmap(call);
        DirtyBitmap own = new DirtyBitmap(given.start(), PAGE, given.size() / PAGE);
        Object result = call.with(0, own).proceed();
        for (long i = 0; i < given.size() / PAGE; i++) {
            if (own.isMarked(given.start() + i * PAGE) && pages.test(i)) {
                given.mark(given.start() + i * PAGE, PAGE);
            }
        }
        return result;
    }

    private static void clear(DirtyTracking tracking, long iova, long pages) {
        tracking.readAndClearDirty(new DirtyBitmap(iova, PAGE, pages), true);
    }

    private static boolean isDirty(DirtyTracking tracking, long iova) {
        DirtyBitmap one = new DirtyBitmap(iova, PAGE, 1);
        tracking.readAndClearDirty(one, false);
        return one.count() == 1;
    }

    private static List<Saboteur> reading() {
        List<Saboteur> all = new ArrayList<>();
        all.add(DIRTY.of("read-dirty-1", "marks the page behind a written one too", READ, call -> {
            DirtyBitmap given = bitmap(call);
            Object result = call.proceed();
            for (long i = given.size() / PAGE - 2; i >= 0; i--) {
                if (given.isMarked(given.start() + i * PAGE)) {
                    given.mark(given.start() + (i + 1) * PAGE, 1);
                }
            }
            return result;
        }));
        all.add(DIRTY.of("read-dirty-1", "leaves out the first page", READ, call -> marking(call, i -> i != 0)));
        all.add(DIRTY.of("read-dirty-1", "leaves out the last page", READ, call -> {
            long last = bitmap(call).size() / PAGE - 1;
            return marking(call, i -> i != last);
        }));
        all.add(DIRTY.of("read-dirty-1", "marks 64 pages at most", READ, call -> marking(call, i -> i < 64)));
        all.add(DIRTY.of("read-dirty-1", "stops at the end of a table", READ, call -> {
            long start = bitmap(call).start() / PAGE;
            return marking(call, i -> start / 512 == (start + i) / 512);
        }));
        all.add(DIRTY.of("read-dirty-1", "takes away earlier marks", READ, call -> {
            bitmap(call).clear();
            return call.proceed();
        }));
        all.add(DIRTY.of(
                "read-dirty-1",
                "does not see the end of the aperture",
                READ,
                call -> bitmap(call).start() > IOVA << 4 || bitmap(call).start() < 0 ? null : call.proceed()));
        all.add(DIRTY.of("read-dirty-1", "marks everything from the first to the last", READ, call -> {
            DirtyBitmap given = bitmap(call);
            Object result = call.proceed();
            long first = -1;
            for (long i = 0; i < given.size() / PAGE; i++) {
                if (given.isMarked(given.start() + i * PAGE)) {
                    first = first < 0 ? i : first;
                    given.mark(given.start() + first * PAGE, (i - first + 1) * PAGE);
                }
            }
            return result;
        }));
        all.add(DIRTY.of("read-dirty-2", "marks nothing of a leaf that began before the range", READ, call -> {
            DirtyTracking tracking = call.target(DirtyTracking.class);
            boolean before = isDirty(tracking, bitmap(call).start() - PAGE);
            return before ? marking(call, i -> i > 0) : call.proceed();
        }));
        all.add(DIRTY.of("read-dirty-2", "marks no leaf whole that goes beyond the range", READ, call -> {
            DirtyTracking tracking = call.target(DirtyTracking.class);
            long end = bitmap(call).start() + bitmap(call).size();
            long last = bitmap(call).size() / PAGE - 1;
            return isDirty(tracking, end) ? marking(call, i -> i != last) : call.proceed();
        }));
        all.add(DIRTY.of(
                "read-dirty-2",
                "marks half of a large leaf",
                READ,
                call -> marking(call, i -> bitmap(call).size() < 256 * PAGE || i < 255)));
        all.add(DIRTY.of("read-dirty-3", "clears the page behind the range", READ, call -> {
            Object result = call.proceed();
            if (clear(call)) {
                clear(
                        call.target(DirtyTracking.class),
                        bitmap(call).start() + bitmap(call).size(),
                        1);
            }
            return result;
        }));
        all.add(DIRTY.of("read-dirty-3", "clears the page before the range", READ, call -> {
            Object result = call.proceed();
            if (clear(call)) {
                clear(call.target(DirtyTracking.class), bitmap(call).start() - PAGE, 1);
            }
            return result;
        }));
        all.add(DIRTY.of("read-dirty-3", "clears 64 pages at a time", READ, call -> {
            Object result = call.proceed();
            if (clear(call)) {
                clear(call.target(DirtyTracking.class), bitmap(call).start() & -(64 * PAGE), 64);
            }
            return result;
        }));
        all.add(DIRTY.of("read-dirty-3", "clears far away", READ, call -> {
            Object result = call.proceed();
            if (clear(call)) {
                clear(call.target(DirtyTracking.class), IOVA + 180 * PAGE, 1);
            }
            return result;
        }));
        all.add(DIRTY.of(
                "read-dirty-4",
                "clears nothing",
                READ,
                call -> call.with(1, false).proceed()));
        all.add(DIRTY.with("read-dirty-4", "clears every second time", READ, () -> {
            Memory times = new Memory();
            return call -> call.with(1, clear(call) && times.next(call.target(Object.class)) % 2 == 1)
                    .proceed();
        }));
        all.add(DIRTY.of("read-dirty-4", "clears all but the first page", READ, call -> {
            DirtyBitmap given = bitmap(call);
            if (!clear(call) || given.size() == PAGE) {
                return call.proceed();
            }
            DirtyBitmap rest = new DirtyBitmap(given.start() + PAGE, PAGE, given.size() / PAGE - 1);
            call.target(DirtyTracking.class).readAndClearDirty(given, false);
            call.target(DirtyTracking.class).readAndClearDirty(rest, true);
            return null;
        }));
        all.add(Saboteur.of(
                        "read-dirty-4",
                        "leaves devices with what they hold as written",
                        Fabric.class,
                        "invalidateDevice",
                        call -> true)
                .where(DIRTY_TRACKING));
        all.add(Saboteur.of("read-dirty-4", "leaves the second device with what it holds as written", () -> {
                    AtomicReference<Object> first = new AtomicReference<>();
                    return List.of(new Change(Fabric.class, "invalidateDevice", call -> {
                        first.compareAndSet(null, call.number(0));
                        return first.get().equals(call.number(0)) ? call.proceed() : (Object) true;
                    }));
                })
                .where(DIRTY_TRACKING));
        all.add(DIRTY.of(
                "read-dirty-5",
                "clears always",
                READ,
                call -> call.with(1, true).proceed()));
        all.add(DIRTY.with("read-dirty-5", "clears at the fourth reading", READ, () -> {
            Memory times = new Memory();
            return call -> call.with(1, clear(call) || times.next(call.target(Object.class)) == 4)
                    .proceed();
        }));
        all.add(DIRTY.of("read-dirty-5", "clears the second page", READ, call -> {
            Object result = call.proceed();
            clear(call.target(DirtyTracking.class), bitmap(call).start() + PAGE, 1);
            return result;
        }));
        all.addAll(DIRTY.errno("read-dirty-6", READ, null, Errno.EOPNOTSUPP, List.of(Errno.EINVAL)));
        all.add(DIRTY.of("read-dirty-6", "clears although it refuses", READ, afterError(List.of(Errno.EINVAL), call -> {
            if (clear(call)) {
                DirtyTracking tracking = call.target(DirtyTracking.class);
                tracking.setDirtyTracking(true);
                clear(tracking, bitmap(call).start(), bitmap(call).size() / PAGE);
                tracking.setDirtyTracking(false);
            }
            return null;
        })));
        all.add(DIRTY.of("read-dirty-6", "marks although it refuses", READ, afterError(List.of(Errno.EINVAL), call -> {
            bitmap(call).mark(bitmap(call).start(), 1);
            return null;
        })));
        all.addAll(DIRTY.errno("read-dirty-7", READ, null, Errno.EINVAL, NOT_COMPLETED)
                .subList(0, 2));
        all.add(DIRTY.of("read-dirty-7", "does not tell what it cleared", READ, call -> {
            DirtyBitmap given = bitmap(call);
            DirtyBitmap own = new DirtyBitmap(given.start(), PAGE, given.size() / PAGE);
            Object result = call.with(0, own).proceed();
            for (long i = 0; i < given.size() / PAGE; i++) {
                if (own.isMarked(given.start() + i * PAGE)) {
                    given.mark(given.start() + i * PAGE, PAGE);
                }
            }
            return result;
        }));
        all.addAll(DIRTY.errno("read-dirty-8", READ, null, Errno.EINVAL, List.of(Errno.ENODEV)));
        return all;
    }

    // PASIDs.

    /** Where each PASID is. */
    private static final class Homes {
        private final Map<List<Object>, PasidAttachment> homes = new HashMap<>();

        static List<Object> key(Call call) {
            return List.of(call.argument(0, IommuDevice.class), call.number(1));
        }

        PasidAttachment of(Call call) {
            return homes.get(key(call));
        }

        /** Attaches, and remembers. */
        Object attach(Call call) throws Throwable {
            AttachResult result = (AttachResult) call.proceed();
            if (result.attached()) {
                homes.put(key(call), call.target(PasidAttachment.class));
            }
            return result;
        }

        /** Takes a PASID of a device from wherever it is. */
        void drop(IommuDevice device, long pasid) {
            PasidAttachment home = homes.remove(List.of(device, pasid));
            if (home == null) {
                return;
            }
            try {
                home.detach(device, (int) pasid);
            } catch (IommuException e) {
                // An earlier test's may be on a machine whose driver is closed.
                if (e.errno() != Errno.ENODEV) {
                    throw e;
                }
            }
        }
    }

    private static IommuDevice device(Call call) {
        return call.argument(0, IommuDevice.class);
    }

    private static int pasid(Call call) {
        return (int) call.number(1);
    }

    private static List<Saboteur> attaching() {
        List<Saboteur> all = new ArrayList<>();
        String attach = "attach";
        all.add(PASIDS.with("attach-pasid-1", "moves no PASID", attach, () -> {
            Homes homes = new Homes();
            return call -> homes.of(call) != null ? AttachResult.ATTACHED : homes.attach(call);
        }));
        all.add(PASIDS.of(
                "attach-pasid-1",
                "knows 512 PASIDs",
                attach,
                when(
                        call -> pasid(call) > 511 && pasid(call) < device(call).maxPasids() - 1,
                        call -> call.with(1, pasid(call) & 511).proceed())));
        all.add(PASIDS.of(
                "attach-pasid-1",
                "leaves out the last PASID",
                attach,
                when(call -> pasid(call) == device(call).maxPasids() - 1, call -> AttachResult.ATTACHED)));
        all.add(PASIDS.changes("attach-pasid-1", "attaches no second device's PASID", () -> {
            AtomicReference<Object> first = new AtomicReference<>();
            return List.of(new Change(PasidAttachment.class, attach, call -> {
                first.compareAndSet(null, device(call));
                return first.get() == device(call) ? call.proceed() : AttachResult.ATTACHED;
            }));
        }));
        all.add(Saboteur.of(
                        "attach-pasid-1",
                        "a device keeps its PASIDs' translations",
                        Fabric.class,
                        "invalidateDevice",
                        when(call -> call.number(1) > 0, call -> true))
                .where(PASID));
        all.add(PASIDS.of("attach-pasid-2", "takes the next PASID along", attach, call -> {
            Object result = call.proceed();
            if (pasid(call) == 7) {
                call.target(PasidAttachment.class).attach(device(call), 8);
            }
            return result;
        }));
        all.add(PASIDS.with("attach-pasid-2", "drops the PASID before", attach, () -> {
            Homes homes = new Homes();
            return call -> {
                Object result = homes.attach(call);
                homes.drop(device(call), pasid(call) - 1L);
                return result;
            };
        }));
        all.add(PASIDS.changes("attach-pasid-2", "takes ordinary requests along", () -> {
            Map<Object, IommuDomain> domains = new HashMap<>();
            return List.of(
                    new Change(IommuDomain.class, "pasidAttachment", call -> {
                        Object result = call.proceed();
                        ((Optional<?>) result).ifPresent(own -> domains.put(own, call.target(IommuDomain.class)));
                        return result;
                    }),
                    new Change(PasidAttachment.class, attach, call -> {
                        Object result = call.proceed();
                        if (pasid(call) == 5) {
                            domains.get(call.target(Object.class)).attach(device(call));
                        }
                        return result;
                    }));
        }));
        all.add(PASIDS.of("attach-pasid-3", "answers nothing", attach, call -> {
            call.proceed();
            return null;
        }));
        Handler incompatible = call -> {
            AttachResult result = (AttachResult) call.proceed();
            return result.attached() ? result : null;
        };
        all.add(PASIDS.of("attach-pasid-3", "answers nothing where it does not fit", attach, incompatible)
                .where(traits -> traits.enforcement() == Enforcement.UNCONDITIONAL));
        all.add(PASIDS.of("attach-pasid-3", "throws where it does not fit", attach, call -> {
                    AttachResult result = (AttachResult) call.proceed();
                    if (!result.attached()) {
                        throw new IommuException(Errno.EINVAL, "sabotage");
                    }
                    return result;
                })
                .where(traits -> traits.enforcement() == Enforcement.UNCONDITIONAL));
        all.add(PASIDS.with("attach-pasid-3", "drops the PASID where it does not fit", attach, () -> {
                    Homes homes = new Homes();
                    return call -> {
                        AttachResult result = (AttachResult) homes.attach(call);
                        if (!result.attached()) {
                            homes.drop(device(call), pasid(call));
                        }
                        return result;
                    };
                })
                .where(traits -> traits.enforcement() == Enforcement.UNCONDITIONAL));
        all.addAll(PASIDS.errno("attach-pasid-4", attach, AttachResult.ATTACHED, Errno.ERANGE, List.of(Errno.EINVAL)));
        all.add(PASIDS.of(
                "attach-pasid-4",
                "takes what is too much for the last",
                attach,
                when(
                        call -> device(call).maxPasids() > 0
                                && pasid(call) >= device(call).maxPasids(),
                        call -> call.with(1, device(call).maxPasids() - 1).proceed())));
        all.add(PASIDS.of(
                "attach-pasid-4",
                "takes 0 for nothing",
                attach,
                when(call -> pasid(call) == 0, call -> AttachResult.incompatible("sabotage"))));
        all.addAll(PASIDS.errno(
                "attach-pasid-5",
                attach,
                AttachResult.incompatible("sabotage"),
                Errno.EINVAL,
                List.of(Errno.EOPNOTSUPP)));
        all.addAll(PASIDS.errno("attach-pasid-6", attach, AttachResult.ATTACHED, Errno.EINVAL, NOT_COMPLETED)
                .subList(0, 2));
        all.addAll(PASIDS.errno("attach-pasid-6", attach, AttachResult.ATTACHED, Errno.EFAULT, List.of(Errno.ENOMEM))
                .subList(0, 2));
        all.addAll(PASIDS.errno("attach-pasid-7", attach, AttachResult.ATTACHED, Errno.EINVAL, List.of(Errno.ENODEV)));
        for (Errno errno : List.of(Errno.EINVAL, Errno.ENODEV, Errno.ENOMEM)) {
            all.add(PASIDS.with("attach-pasid-8", "drops the PASID at " + errno, attach, () -> {
                Homes homes = new Homes();
                return call -> {
                    try {
                        return homes.attach(call);
                    } catch (IommuException e) {
                        if (e.errno() == errno) {
                            homes.homes.keySet().stream()
                                    .toList()
                                    .forEach(key -> homes.drop((IommuDevice) key.get(0), (Long) key.get(1)));
                        }
                        throw e;
                    }
                };
            }));
        }
        all.add(PASIDS.changes("attach-pasid-8", "loses memory at ENOMEM", () -> {
            AtomicReference<Object> kept = new AtomicReference<>();
            return List.of(
                    new Change(
                            FrameAllocator.class,
                            "inUse",
                            call -> (long) call.proceed() + (kept.get() == null ? 0 : 1)),
                    new Change(PasidAttachment.class, attach, afterError(List.of(Errno.ENOMEM), call -> {
                        kept.set(call.target(Object.class));
                        return null;
                    })));
        }));
        all.add(PASIDS.changes("attach-pasid-8", "lets a PASID go that it refused", () -> {
            Set<Object> refused = new HashSet<>();
            return List.of(
                    new Change(PasidAttachment.class, attach, call -> {
                        try {
                            return call.proceed();
                        } catch (IommuException e) {
                            refused.add(Homes.key(call));
                            throw e;
                        }
                    }),
                    new Change(
                            PasidAttachment.class,
                            "detach",
                            call -> refused.contains(Homes.key(call)) ? null : call.proceed()));
        }));
        return all;
    }

    private static List<Saboteur> detaching() {
        List<Saboteur> all = new ArrayList<>();
        String detach = "detach";
        all.add(PASIDS.of("detach-pasid-1", "detaches nothing", detach, call -> null));
        all.add(PASIDS.of(
                "detach-pasid-1",
                "detaches no PASID beyond the first table",
                detach,
                when(call -> pasid(call) > 512, call -> null)));
        all.add(PASIDS.with("detach-pasid-1", "detaches each PASID once", detach, () -> {
            Memory times = new Memory();
            return call -> times.next(Homes.key(call)) > 1 ? null : call.proceed();
        }));
        all.add(Saboteur.of(
                        "detach-pasid-1",
                        "a device keeps its translations",
                        Fabric.class,
                        "invalidateDevice",
                        call -> true)
                .where(PASID));
        all.add(PASIDS.changes("detach-pasid-1", "detaches at the next call", () -> {
            AtomicReference<Runnable> late = new AtomicReference<>(() -> {});
            return List.of(
                    new Change(PasidAttachment.class, detach, call -> {
                        late.getAndSet(() -> {}).run();
                        PasidAttachment own = call.target(PasidAttachment.class);
                        IommuDevice device = device(call);
                        int pasid = pasid(call);
                        late.set(() -> own.detach(device, pasid));
                        return null;
                    }),
                    new Change(PasidAttachment.class, "attach", call -> {
                        late.getAndSet(() -> {}).run();
                        return call.proceed();
                    }));
        }));
        all.add(PASIDS.changes("detach-pasid-2", "takes a frame for a moment", () -> {
            Domains.Opened opened = new Domains.Opened();
            return List.of(opened.change(), new Change(PasidAttachment.class, detach, call -> {
                opened.frames().free(opened.frames().allocate(0), 0);
                return call.proceed();
            }));
        }));
        all.add(PASIDS.changes("detach-pasid-2", "tries to take a frame for a PASID beyond the first table", () -> {
            Domains.Opened opened = new Domains.Opened();
            return List.of(opened.change(), new Change(PasidAttachment.class, detach, call -> {
                if (pasid(call) == 700) {
                    try {
                        opened.frames().free(opened.frames().allocate(0), 0);
                    } catch (IommuException none) {
                        return call.proceed();
                    }
                }
                return call.proceed();
            }));
        }));
        all.addAll(PASIDS.errno("detach-pasid-3", detach, null, Errno.ENODEV, List.of(Errno.EINVAL)));
        all.add(PASIDS.changes("detach-pasid-3", "detaches what another domain has", () -> {
            Homes homes = new Homes();
            return List.of(
                    new Change(PasidAttachment.class, "attach", homes::attach),
                    new Change(PasidAttachment.class, detach, afterError(List.of(Errno.EINVAL), call -> {
                        homes.drop(device(call), pasid(call));
                        return null;
                    })));
        }));
        all.add(PASIDS.of(
                "detach-pasid-3",
                "takes numbers out of range for detached",
                detach,
                onError(
                        (call, errno) -> errno == Errno.EINVAL
                                && pasid(call) >= device(call).maxPasids(),
                        call -> null)));
        all.addAll(PASIDS.errno("detach-pasid-4", detach, null, Errno.ENODEV, NOT_COMPLETED)
                .subList(0, 2));
        all.add(PASIDS.changes("detach-pasid-4", "takes a second detach after a time-out", () -> {
            AtomicBoolean failed = new AtomicBoolean();
            return List.of(new Change(PasidAttachment.class, detach, call -> {
                if (failed.get()) {
                    return null;
                }
                try {
                    return call.proceed();
                } catch (IommuException e) {
                    failed.set(NOT_COMPLETED.contains(e.errno()));
                    throw e;
                }
            }));
        }));
        all.add(PASIDS.changes("detach-pasid-4", "attaches after a time-out as if the unit worked", () -> {
            AtomicBoolean failed = new AtomicBoolean();
            return List.of(
                    new Change(PasidAttachment.class, detach, afterError(NOT_COMPLETED, call -> {
                        failed.set(true);
                        return null;
                    })),
                    new Change(
                            PasidAttachment.class,
                            "attach",
                            when(call -> failed.get(), call -> AttachResult.ATTACHED)));
        }));
        all.addAll(PASIDS.errno("detach-pasid-5", detach, null, Errno.EINVAL, List.of(Errno.ENODEV)));
        return all;
    }

    // Page requests.

    @SuppressWarnings("unchecked")
    private static List<PageRequestGroup> groups(Call call) throws Throwable {
        return new ArrayList<>((List<PageRequestGroup>) call.proceed());
    }

    private static PageRequestGroup group(Call call) {
        return call.argument(0, PageRequestGroup.class);
    }

    private static PageRequestGroup like(PageRequestGroup group, List<PageRequest> pages) {
        return new PageRequestGroup(group.requester(), group.pasid(), group.index(), pages);
    }

    /** Answers as invalid get lost while some method runs. */
    private static Saboteur lost(String promise, String about, Class<?> type, String method) {
        return PAGES.changes(promise, about, () -> {
            AtomicBoolean inside = new AtomicBoolean();
            return List.of(
                    new Change(type, method, call -> {
                        inside.set(true);
                        try {
                            return call.proceed();
                        } finally {
                            inside.set(false);
                        }
                    }),
                    new Change(
                            Fabric.class,
                            "respondToPageRequest",
                            when(call -> inside.get() && call.number(3) == 1, call -> null)));
        });
    }

    private static List<Saboteur> handingOut() {
        List<Saboteur> all = new ArrayList<>();
        String take = "take";
        String respond = "respondToPageRequest";
        all.add(lost("page-requests-1", "answers nobody's requests not at all", PageRequests.class, take));
        all.add(Saboteur.of(
                        "page-requests-1",
                        "answers no request without PASID",
                        Fabric.class,
                        respond,
                        when(call -> call.number(1) == TranslationUnit.NO_PASID, call -> null))
                .where(PAGE_REQUESTS));
        all.add(Saboteur.of(
                        "page-requests-1",
                        "answers nobody's requests as a success",
                        Fabric.class,
                        respond,
                        when(
                                call -> call.number(3) == 1,
                                call -> call.with(3, 0).proceed()))
                .where(PAGE_REQUESTS));
        all.add(PAGES.of("page-requests-1", "hands out one PASID alone", take, call -> {
            List<PageRequestGroup> groups = groups(call);
            groups.removeIf(group -> group.pasid() == 70);
            return groups;
        }));
        all.add(lost("page-requests-2", "answers nothing at a detach", PasidAttachment.class, "detach"));
        all.add(lost("page-requests-2", "answers nothing at a move", PasidAttachment.class, "attach"));
        all.add(lost("page-requests-2", "answers nothing at a stop", PageRequests.class, "disable"));
        all.add(new Saboteur(
                "page-requests-2",
                "does not wait for what the device has asked already",
                subject -> subject.withPorts(ForgetfulMemory::withoutVtdPageRequestDrain),
                // A unit of VT-d's.
                subject ->
                        subject.traits().has(PAGE_REQUESTS) && subject.traits().has(NESTING)));
        all.add(PAGES.changes("page-requests-2", "answers all PASIDs at a detach of one", () -> {
            Set<Object> asked = Collections.newSetFromMap(new IdentityHashMap<>());
            IdentityHashMap<Object, PageRequests> by = new IdentityHashMap<>();
            return List.of(
                    new Change(PageRequests.class, take, call -> {
                        List<PageRequestGroup> groups = groups(call);
                        groups.forEach(group -> by.put(group, call.target(PageRequests.class)));
                        asked.addAll(groups);
                        return groups;
                    }),
                    new Change(PasidAttachment.class, "detach", call -> {
                        Object result = call.proceed();
                        for (Object group : asked) {
                            try {
                                by.get(group).respond((PageRequestGroup) group, PageResponse.INVALID);
                            } catch (IommuException answered) {
                                // as it should be
                            }
                        }
                        asked.clear();
                        return result;
                    }));
        }));
        all.add(PAGES.with("page-requests-3", "answers for the first thread alone", "respond", () -> {
            AtomicReference<Thread> first = new AtomicReference<>();
            return call -> {
                first.compareAndSet(null, Thread.currentThread());
                return first.get() == Thread.currentThread() ? call.proceed() : null;
            };
        }));
        all.add(PAGES.with("page-requests-3", "can't be taken from by two threads", take, () -> {
            AtomicReference<Thread> first = new AtomicReference<>();
            return call -> {
                first.compareAndSet(null, Thread.currentThread());
                if (first.get() != Thread.currentThread() && first.get().isAlive()) {
                    throw new ConcurrentModificationException("sabotage");
                }
                return call.proceed();
            };
        }));
        return all;
    }

    private static List<Saboteur> stopping() {
        List<Saboteur> all = new ArrayList<>();
        String enable = "enable";
        String disable = "disable";
        all.add(PAGES.of("enable-1", "lets nobody ask", enable, call -> null));
        all.add(PAGES.with("enable-1", "lets a device ask once", enable, () -> {
            Memory times = new Memory();
            return call -> times.next(call.target(Object.class)) > 3 ? null : call.proceed();
        }));
        all.add(PAGES.of("enable-1", "starts anew", enable, call -> {
            call.target(PageRequests.class).disable();
            return call.proceed();
        }));
        all.add(PAGES.changes("enable-1", "takes as many stops as starts", () -> {
            Map<Object, Integer> starts = new HashMap<>();
            return List.of(
                    new Change(PageRequests.class, enable, call -> {
                        Object result = call.proceed();
                        starts.merge(call.target(Object.class), 1, Integer::sum);
                        return result;
                    }),
                    new Change(
                            PageRequests.class,
                            disable,
                            call -> starts.merge(call.target(Object.class), -1, Integer::sum) > 0
                                    ? null
                                    : call.proceed()));
        }));
        all.addAll(PAGES.errno("enable-2", enable, null, Errno.EIO, List.of(Errno.EBUSY)));
        all.addAll(PAGES.errno("enable-3", enable, null, Errno.EINVAL, List.of(Errno.ENODEV))
                .subList(0, 2));
        all.add(PAGES.of("disable-1", "stops nothing", disable, call -> null));
        all.add(PAGES.with("disable-1", "stops once", disable, () -> {
            Memory times = new Memory();
            return call -> times.next(call.target(Object.class)) > 3 ? null : call.proceed();
        }));
        all.add(PAGES.changes("disable-1", "refuses to stop what was never started", () -> {
            Set<Object> started = new HashSet<>();
            return List.of(
                    new Change(PageRequests.class, enable, call -> {
                        started.add(call.target(Object.class));
                        return call.proceed();
                    }),
                    new Change(PageRequests.class, disable, call -> {
                        if (!started.contains(call.target(Object.class))) {
                            throw new IommuException(Errno.EINVAL, "sabotage");
                        }
                        return call.proceed();
                    }));
        }));
        all.add(PAGES.changes("disable-1", "starts at a second stop", () -> {
            Set<Object> stopped = new HashSet<>();
            return List.of(
                    new Change(PageRequests.class, enable, call -> {
                        stopped.remove(call.target(Object.class));
                        return call.proceed();
                    }),
                    new Change(PageRequests.class, disable, call -> {
                        Object result = call.proceed();
                        if (!stopped.add(call.target(Object.class))) {
                            call.target(PageRequests.class).enable();
                        }
                        return result;
                    }));
        }));
        all.addAll(PAGES.errno("disable-2", disable, null, Errno.EINVAL, NOT_COMPLETED)
                .subList(0, 2));
        all.add(PAGES.of("disable-2", "goes on after a time-out", disable, afterError(NOT_COMPLETED, call -> {
            call.target(PageRequests.class).enable();
            return null;
        })));
        return all;
    }

    private static List<Saboteur> taking() {
        List<Saboteur> all = new ArrayList<>();
        String take = "take";
        all.add(PAGES.of("take-1", "has the newest first", take, call -> {
            List<PageRequestGroup> groups = groups(call);
            Collections.reverse(groups);
            return groups;
        }));
        all.add(PAGES.of("take-1", "sorts by PASID", take, call -> {
            List<PageRequestGroup> groups = groups(call);
            groups.sort(Comparator.comparingInt(PageRequestGroup::pasid));
            return groups;
        }));
        all.add(PAGES.of("take-1", "loses the last of several", take, call -> {
            List<PageRequestGroup> groups = groups(call);
            return groups.size() > 2 ? groups.subList(0, groups.size() - 1) : groups;
        }));
        all.add(PAGES.with("take-1", "has the last again", take, () -> {
            List<PageRequestGroup> last = new ArrayList<>();
            return call -> {
                List<PageRequestGroup> groups = groups(call);
                List<PageRequestGroup> both = new ArrayList<>(last);
                last.clear();
                last.addAll(groups.size() > 2 ? groups.subList(2, groups.size()) : List.of());
                both.addAll(groups);
                return both;
            };
        }));
        all.add(PAGES.of("take-1", "has a group's pages backwards", take, call -> {
            List<PageRequestGroup> groups = groups(call);
            groups.replaceAll(group -> {
                List<PageRequest> pages = new ArrayList<>(group.pages());
                Collections.reverse(pages);
                return group.pages().size() > 1 ? like(group, pages) : group;
            });
            return groups;
        }));
        all.add(PAGES.of("take-1", "takes a write for a read", take, call -> {
            List<PageRequestGroup> groups = groups(call);
            groups.replaceAll(group -> group.pages().get(0).write()
                    ? like(
                            group,
                            group.pages().stream()
                                    .map(page -> new PageRequest(page.address(), true, false, false, false))
                                    .toList())
                    : group);
            return groups;
        }));
        all.add(PAGES.of("take-1", "hands out copies", take, call -> {
            List<PageRequestGroup> groups = groups(call);
            groups.replaceAll(group -> like(group, group.pages()));
            return groups;
        }));
        all.add(PAGES.with("take-2", "keeps back what came until the next call", take, () -> {
            List<PageRequestGroup> kept = new ArrayList<>();
            return call -> {
                List<PageRequestGroup> now = List.copyOf(kept);
                kept.clear();
                kept.addAll(groups(call));
                return now;
            };
        }));
        all.add(PAGES.changes("take-2", "waits for a moment", () -> {
            AtomicReference<VendorContext> opened = new AtomicReference<>();
            return List.of(
                    new Change(IommuVendor.class, "open", call -> {
                        opened.set(call.argument(0, VendorContext.class));
                        return call.proceed();
                    }),
                    new Change(PageRequests.class, take, call -> {
                        opened.get().waiter().await(() -> true, 1);
                        return call.proceed();
                    }));
        }));
        all.addAll(PAGES.errno("take-3", take, List.of(), Errno.ENODEV, NOT_COMPLETED)
                .subList(0, 2));
        all.add(PAGES.of("overflows-1", "counts twice", "overflows", call -> 2 * (long) call.proceed()));
        all.add(PAGES.of("overflows-1", "counts once", "overflows", call -> Math.min(1, (long) call.proceed())));
        all.add(PAGES.of("overflows-1", "counts nothing", "overflows", call -> 0L));
        all.add(PAGES.changes("overflows-1", "counts anew after a stop", () -> {
            AtomicReference<Long> before = new AtomicReference<>(0L);
            return List.of(
                    new Change(PageRequests.class, "disable", call -> {
                        before.set(call.target(PageRequests.class).overflows());
                        return call.proceed();
                    }),
                    new Change(PageRequests.class, "overflows", call -> (long) call.proceed() - before.get()));
        }));
        all.add(PAGES.of("overflows-2", "keeps a part", take, call -> {
            List<PageRequestGroup> groups = groups(call);
            if (call.target(PageRequests.class).overflows() > 0) {
                groups.replaceAll(group -> group.index() == 501
                        ? like(
                                group,
                                List.of(
                                        new PageRequest(IOVA + 2 * PAGE, true, false, false, false),
                                        group.pages().get(0)))
                        : group);
            }
            return groups;
        }));
        all.add(PAGES.of("overflows-2", "forgets later parts too", take, call -> {
            List<PageRequestGroup> groups = groups(call);
            if (call.target(PageRequests.class).overflows() > 0) {
                groups.replaceAll(group ->
                        like(group, List.of(group.pages().get(group.pages().size() - 1))));
            }
            return groups;
        }));
        all.add(PAGES.with("overflows-2", "loses whole groups after an overflow", take, () -> {
            AtomicInteger seen = new AtomicInteger();
            return call -> {
                List<PageRequestGroup> groups = groups(call);
                boolean first = call.target(PageRequests.class).overflows() > 0 && groups.size() == 2;
                return first && seen.getAndIncrement() == 0 ? List.of() : groups;
            };
        }));
        return all;
    }

    private static List<Saboteur> answering() {
        List<Saboteur> all = new ArrayList<>();
        String respond = "respond";
        all.add(PAGES.of(
                "respond-1",
                "says success always",
                respond,
                call -> call.with(1, PageResponse.SUCCESS).proceed()));
        all.add(PAGES.of(
                "respond-1",
                "takes a failure for an invalid request",
                respond,
                when(
                        call -> call.argument(1, PageResponse.class) == PageResponse.FAILURE,
                        call -> call.with(1, PageResponse.INVALID).proceed())));
        all.add(Saboteur.of(
                        "respond-1",
                        "answers the group before",
                        Fabric.class,
                        "respondToPageRequest",
                        when(
                                call -> call.number(2) > 0,
                                call -> call.with(2, (int) call.number(2) - 1).proceed()))
                .where(PAGE_REQUESTS));
        all.add(Saboteur.of(
                        "respond-1",
                        "answers with another PASID",
                        Fabric.class,
                        "respondToPageRequest",
                        when(
                                call -> call.number(1) == 70,
                                call -> call.with(1, 5).proceed()))
                .where(PAGE_REQUESTS));
        all.add(Saboteur.of("respond-1", "answers each group twice", Fabric.class, "respondToPageRequest", call -> {
                    call.proceed();
                    return call.proceed();
                })
                .where(PAGE_REQUESTS));
        all.add(PAGES.changes("respond-1", "answers the oldest group", () -> {
            List<PageRequestGroup> taken = new ArrayList<>();
            return List.of(
                    new Change(PageRequests.class, "take", call -> {
                        List<PageRequestGroup> groups = groups(call);
                        taken.addAll(groups);
                        return groups;
                    }),
                    new Change(
                            PageRequests.class,
                            respond,
                            call -> taken.isEmpty()
                                    ? call.proceed()
                                    : call.with(0, taken.remove(0)).proceed()));
        }));
        all.add(PAGES.changes("respond-2", "takes an equal group for the same", () -> {
            List<PageRequestGroup> taken = new ArrayList<>();
            return List.of(
                    new Change(PageRequests.class, "take", call -> {
                        List<PageRequestGroup> groups = groups(call);
                        taken.addAll(groups);
                        return groups;
                    }),
                    new Change(PageRequests.class, respond, call -> {
                        int at = taken.indexOf(group(call));
                        return (at < 0 ? call : call.with(0, taken.remove(at))).proceed();
                    }));
        }));
        all.add(PAGES.changes("respond-2", "knows one of two equal groups", () -> {
            Set<Object> answered = new HashSet<>();
            return List.of(new Change(PageRequests.class, respond, call -> {
                if (answered.contains(group(call))) {
                    throw new IommuException(Errno.EINVAL, "sabotage");
                }
                Object result = call.proceed();
                answered.add(group(call));
                return result;
            }));
        }));
        all.addAll(PAGES.errno("respond-3", respond, null, Errno.ENODEV, List.of(Errno.EINVAL)));
        all.add(PAGES.changes("respond-3", "takes answers to what the driver answered at a stop", () -> {
            AtomicBoolean stopped = new AtomicBoolean();
            return List.of(
                    new Change(PageRequests.class, "disable", call -> {
                        stopped.set(true);
                        return call.proceed();
                    }),
                    new Change(
                            PageRequests.class,
                            respond,
                            onError((call, errno) -> stopped.get() && errno == Errno.EINVAL, call -> null)));
        }));
        all.addAll(PAGES.errno("respond-4", respond, null, Errno.EINVAL, List.of(Errno.ENODEV))
                .subList(0, 2));
        all.addAll(PAGES.errno("respond-5", respond, null, Errno.EINVAL, NOT_COMPLETED)
                .subList(0, 2));
        return all;
    }

    // Guests.

    private static List<Saboteur> nesting() {
        List<Saboteur> all = new ArrayList<>();
        String nest = "allocateNested";
        all.add(NEST.with("nest-1", "has one nested domain", nest, () -> {
            Map<Object, Object> first = new HashMap<>();
            return call -> {
                Object known = first.get(call.target(Object.class));
                if (known == null) {
                    known = call.proceed();
                    first.put(call.target(Object.class), known);
                }
                return known;
            };
        }));
        all.add(NEST.of("nest-1", "attaches the device at once", nest, call -> {
            IommuDomain nested = (IommuDomain) call.proceed();
            nested.attach(device(call));
            return nested;
        }));
        all.add(NEST.changes("nest-1", "leaves a second device where it was", () -> {
            AtomicReference<Object> first = new AtomicReference<>();
            return List.of(new Change(IommuDomain.class, "attach", call -> {
                if (call.target(IommuDomain.class).type() != DomainType.NESTED) {
                    return call.proceed();
                }
                first.compareAndSet(null, device(call));
                return first.get() == device(call) ? call.proceed() : AttachResult.ATTACHED;
            }));
        }));
        all.add(NEST.changes(
                "nest-1",
                "calls a nested domain unmanaged",
                () -> List.of(new Change(
                        IommuDomain.class,
                        "type",
                        call -> call.proceed() == DomainType.NESTED ? DomainType.UNMANAGED : call.proceed()))));
        all.add(NEST.changes(
                "nest-2",
                "takes nothing away from a guest",
                () -> List.of(new Change(
                        IommuDomain.class,
                        "unmap",
                        when(call -> call.target(IommuDomain.class).nesting().isPresent(), call -> call.number(1))))));
        all.add(NEST.changes(
                "nest-2",
                "has no unit forget what a guest had",
                () -> List.of(new Change(
                        IommuDomain.class,
                        "sync",
                        when(call -> call.target(IommuDomain.class).nesting().isPresent(), call -> null)))));
        all.add(NEST.changes(
                "nest-2",
                "reads over the reserved bit of guests",
                () -> reading(word -> (word & 4) != 0 ? word & ~(1L << 51) : word)));
        all.add(NEST.changes(
                "nest-2",
                "reads over the reserved bit of parents",
                () -> reading(word -> (word & 4) == 0 ? word & ~(1L << 51) : word)));
        all.add(NEST.changes(
                "nest-3",
                "closes the parent",
                () -> List.of(new Change(
                        IommuDomain.class,
                        "close",
                        call -> call.target(IommuDomain.class).nesting().isPresent()
                                ? onError(List.of(Errno.EBUSY), busy -> null).handle(call)
                                : call.proceed()))));
        all.add(NEST.changes(
                "nest-3",
                "has another errno for a parent",
                () -> List.of(new Change(
                        IommuDomain.class,
                        "close",
                        call -> call.target(IommuDomain.class).nesting().isPresent()
                                ? onError(List.of(Errno.EBUSY), busy -> {
                                            throw new IommuException(Errno.EINVAL, "sabotage");
                                        })
                                        .handle(call)
                                : call.proceed()))));
        all.add(NEST.changes("nest-3", "counts a domain that it could not make", () -> {
            Set<Object> failed = new HashSet<>();
            return List.of(
                    new Change(Nesting.class, nest, call -> {
                        try {
                            return call.proceed();
                        } catch (IommuException e) {
                            failed.add(call.target(Object.class));
                            throw e;
                        }
                    }),
                    new Change(IommuDomain.class, "close", call -> {
                        Nesting own = call.target(IommuDomain.class).nesting().orElse(null);
                        if (own != null && failed.contains(own)) {
                            throw new IommuException(Errno.EBUSY, "sabotage");
                        }
                        return call.proceed();
                    }));
        }));
        all.add(NEST.changes("nest-3", "lets the parent go once its nested domain is detached", () -> {
            AtomicBoolean detached = new AtomicBoolean();
            return List.of(
                    new Change(IommuDomain.class, "detach", call -> {
                        detached.set(call.target(IommuDomain.class).type() == DomainType.NESTED);
                        return call.proceed();
                    }),
                    new Change(
                            IommuDomain.class,
                            "close",
                            onError((call, errno) -> detached.get() && errno == Errno.EBUSY, call -> null)));
        }));
        all.add(NEST.changes(
                "nest-4",
                "says that a device is attached to a table that its unit can't walk",
                () -> List.of(new Change(IommuDomain.class, "attach", call -> {
                    AttachResult result = (AttachResult) call.proceed();
                    return call.target(IommuDomain.class).type() == DomainType.NESTED ? AttachResult.ATTACHED : result;
                }))));
        all.add(NEST.changes("nest-4", "keeps a frame for a table that it refuses", () -> {
            Domains.Opened opened = new Domains.Opened();
            return List.of(opened.change(), new Change(IommuDomain.class, "attach", call -> {
                AttachResult result = (AttachResult) call.proceed();
                if (call.target(IommuDomain.class).type() == DomainType.NESTED && !result.attached()) {
                    opened.frames().allocate(0);
                }
                return result;
            }));
        }));
        all.addAll(NEST.errno("nest-5", nest, null, Errno.EINVAL, List.of(Errno.EOPNOTSUPP)));
        all.addAll(NEST.errno("nest-6", nest, null, Errno.EINVAL, List.of(Errno.ENODEV)));
        all.add(NEST.changes("nest-7", "has EIO for no memory", () -> {
            Domains.Opened opened = new Domains.Opened();
            return List.of(opened.change(), new Change(Nesting.class, nest, call -> {
                try {
                    opened.frames().free(opened.frames().allocate(0), 0);
                } catch (IommuException e) {
                    throw new IommuException(Errno.EIO, "sabotage", e);
                }
                return call.proceed();
            }));
        }));
        all.add(NEST.changes("nest-7", "keeps a frame when there is no second", () -> {
            Domains.Opened opened = new Domains.Opened();
            return List.of(opened.change(), new Change(Nesting.class, nest, call -> {
                Object result = call.proceed();
                opened.frames().allocate(0);
                return result;
            }));
        }));
        return all;
    }

    /** The unit reads other words, and sets no flags in them: what it compares would differ for ever. */
    private static List<Change> reading(LongUnaryOperator word) {
        return List.of(
                new Change(Fabric.class, "read", call -> word.applyAsLong((long) call.proceed())),
                new Change(Fabric.class, "compareAndSet", call -> true));
    }

    private static List<Saboteur> invalidating() {
        List<Saboteur> all = new ArrayList<>();
        String invalidate = "invalidate";
        all.add(GUEST.of("invalidate-1", "forgets nothing", invalidate, call -> null));
        all.add(GUEST.with("invalidate-1", "forgets every second time", invalidate, () -> {
            AtomicInteger times = new AtomicInteger();
            return call -> times.getAndIncrement() % 2 == 1 ? null : call.proceed();
        }));
        all.add(GUEST.with("invalidate-1", "forgets each request once", invalidate, () -> {
            Memory times = new Memory();
            return call -> times.next(call.argument(0, Object.class)) > 1 ? null : call.proceed();
        }));
        all.add(Saboteur.of("invalidate-1", "has no device forget", Fabric.class, "invalidateDevice", call -> true)
                .where(NESTING));
        all.add(GUEST.with("invalidate-1", "forgets at the next call", invalidate, () -> {
            AtomicReference<Runnable> late = new AtomicReference<>(() -> {});
            return call -> {
                late.get().run();
                GuestInvalidation own = call.target(GuestInvalidation.class);
                var request = call.argument(0, GuestInvalidationRequest.class);
                late.set(() -> own.invalidate(request));
                return null;
            };
        }));
        all.add(GUEST.changes("invalidate-2", "lets the last device out", () -> {
            Map<Object, IommuDevice> devices = new HashMap<>();
            return List.of(
                    new Change(IommuDomain.class, "attach", call -> {
                        devices.put(call.target(Object.class), device(call));
                        return call.proceed();
                    }),
                    new Change(GuestInvalidation.class, invalidate, call -> {
                        Object result = call.proceed();
                        IommuDomain own = (IommuDomain) call.target(Object.class);
                        own.detach(devices.get(own));
                        return result;
                    }));
        }));
        all.addAll(GUEST.errno("invalidate-3", invalidate, null, Errno.EOPNOTSUPP, List.of(Errno.EINVAL)));
        all.addAll(GUEST.errno("invalidate-4", invalidate, null, Errno.EINVAL, List.of(Errno.ENODEV)));
        all.addAll(GUEST.errno("invalidate-5", invalidate, null, Errno.EINVAL, NOT_COMPLETED));
        return all;
    }
}
