// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import static org.iommu4j.it.tck.Handlers.refuse;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.device.DeviceId;
import org.iommu4j.it.tck.Interposer.Change;
import org.iommu4j.it.tck.Interposer.Handler;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.platform.RegisterSpace;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.VendorContext;
import org.iommu4j.tck.Traits;
import org.iommu4j.tck.Traits.Tables;

/** Drivers that use their ports wrongly. */
final class PortSaboteurs {
    private PortSaboteurs() {}

    static List<Saboteur> all() {
        return Saboteur.all(memory(), waits(), registers(), failures(), platforms());
    }

    private static Saboteur memory(String promise, String about, String method, Supplier<Handler> handler) {
        return Saboteur.with(promise, about, SystemMemory.class, method, handler)
                .where(traits -> traits.tables() == Tables.IN_FRAMES);
    }

    private static boolean looksPastCaches(Traits traits) {
        return !traits.snoopedWalks();
    }

    private static List<Saboteur> memory() {
        return List.of(
                memory(
                        "port-1",
                        "clears no frame",
                        "storeRun",
                        () -> call -> call.number(1) == 0 && call.number(3) == 512 ? null : call.proceed()),
                memory(
                        "port-1",
                        "clears all of a frame but its last word",
                        "storeRun",
                        () -> call -> call.number(1) == 0 && call.number(3) == 512
                                ? call.with(3, 511).proceed()
                                : call.proceed()),
                memory("port-2", "writes nothing back", "writeBack", () -> call -> null)
                        .where(PortSaboteurs::looksPastCaches),
                memory(
                                "port-2",
                                "writes back the first line of several",
                                "writeBack",
                                () -> call ->
                                        call.number(1) > 64 ? call.with(1, 64L).proceed() : call.proceed())
                        .where(PortSaboteurs::looksPastCaches),
                memory("port-2", "writes nothing back later on", "writeBack", () -> {
                            AtomicInteger count = new AtomicInteger();
                            return call -> count.incrementAndGet() > 40 ? null : call.proceed();
                        })
                        .where(PortSaboteurs::looksPastCaches),
                Saboteur.of("port-2", "does not write back what it clears", () -> {
                            AtomicBoolean unmapping = new AtomicBoolean();
                            return List.of(
                                    new Change(IommuDomain.class, "unmap", call -> {
                                        unmapping.set(true);
                                        try {
                                            return call.proceed();
                                        } finally {
                                            unmapping.set(false);
                                        }
                                    }),
                                    new Change(
                                            SystemMemory.class,
                                            "writeBack",
                                            call -> unmapping.get() ? null : call.proceed()));
                        })
                        .where(PortSaboteurs::looksPastCaches));
    }

    private static Object sleepThen(Interposer.Call call) throws Throwable {
        try {
            Thread.sleep(1);
        } catch (InterruptedException e) {
            // As a driver that thinks nothing of it.
            return call.proceed();
        }
        return call.proceed();
    }

    /** A driver that does something with the ports that it was opened with. */
    private static Saboteur opened(String promise, String about, Class<?> type, String method, Using using) {
        return Saboteur.of(promise, about, () -> {
            VendorContext[] ports = new VendorContext[1];
            return List.of(
                    new Change(IommuVendor.class, "open", call -> {
                        ports[0] = call.argument(0, VendorContext.class);
                        return call.proceed();
                    }),
                    new Change(type, method, call -> {
                        using.use(ports[0]);
                        return call.proceed();
                    }));
        });
    }

    /** Uses ports. */
    @FunctionalInterface
    private interface Using {
        void use(VendorContext ports);
    }

    private static List<Saboteur> waits() {
        return List.of(
                Saboteur.of("port-3", "sleeps before a sync", IommuDomain.class, "sync", PortSaboteurs::sleepThen),
                Saboteur.of("port-3", "sleeps before it is closed", Iommu.class, "close", PortSaboteurs::sleepThen),
                opened("port-3", "polls a word", IommuDomain.class, "detach", ports -> {
                    for (int i = 0; i < 40; i++) {
                        ports.memory().load(0x1000);
                    }
                }),
                opened(
                        "port-3",
                        "waits without an end",
                        IommuDomain.class,
                        "detach",
                        ports -> ports.waiter().await(() -> true, Long.MAX_VALUE)));
    }

    private static Saboteur windows(String about, Behind behind) {
        return Saboteur.of("port-4", about, IommuVendor.class, "open", call -> {
            VendorContext ports = call.argument(0, VendorContext.class);
            RegisterSpace registers = (base, size) -> {
                RegisterWindow window = ports.registers().map(base, size);
                try {
                    behind.use(window, size);
                } catch (IllegalStateException refused) {
                    return window;
                }
                return window;
            };
            return call.with(0, ports.withRegisters(registers)).proceed();
        });
    }

    /** Uses a window of some size. */
    @FunctionalInterface
    private interface Behind {
        void use(RegisterWindow window, int size);
    }

    private static List<Saboteur> registers() {
        return List.of(
                windows("reads the word behind a window", (window, size) -> window.read32(size)),
                windows("reads half a word too far", (window, size) -> window.read64(size - 4)),
                windows("waits for as long as a register is all ones", (window, size) -> {
                    while (window.read32(0) == -1) {
                        Thread.onSpinWait();
                    }
                }));
    }

    private static List<Saboteur> failures() {
        return List.of(
                Saboteur.with("port-5", "never allocates again", Iommu.class, "allocate", () -> {
                    AtomicBoolean failed = new AtomicBoolean();
                    return call -> {
                        if (failed.get()) {
                            return refuse(Errno.ENOMEM);
                        }
                        try {
                            return call.proceed();
                        } catch (IommuException e) {
                            failed.set(e.errno() == Errno.ENOMEM);
                            throw e;
                        }
                    };
                }),
                Saboteur.with("port-5", "never opens again", IommuVendor.class, "open", () -> {
                    AtomicLong failed = new AtomicLong();
                    return call -> {
                        if (failed.get() > 0) {
                            return refuse(Errno.EIO);
                        }
                        try {
                            return call.proceed();
                        } catch (IommuException e) {
                            failed.incrementAndGet();
                            throw e;
                        }
                    };
                }));
    }

    private static List<Saboteur> platforms() {
        return List.of(
                Saboteur.with("port-6", "knows functions of all machines", Iommu.class, "probe", () -> {
                    Map<DeviceId, Object> known = new HashMap<>();
                    return call -> call.argument(0, Object.class) instanceof PciFunction function
                            ? known.computeIfAbsent(function.address(), address -> proceed(call))
                            : call.proceed();
                }),
                Saboteur.onceClosed(
                        "port-6", "is closed when another is", IommuDomain.class, "map", call -> refuse(Errno.ENODEV)));
    }

    private static Optional<?> proceed(Interposer.Call call) {
        try {
            return (Optional<?>) call.proceed();
        } catch (RuntimeException e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
    }
}
