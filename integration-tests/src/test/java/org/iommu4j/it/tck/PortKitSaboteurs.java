// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import static org.iommu4j.it.tck.Handlers.caught;
import static org.iommu4j.it.tck.Handlers.onError;
import static org.iommu4j.it.tck.Handlers.swap;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BooleanSupplier;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.it.tck.Interposer.Call;
import org.iommu4j.it.tck.Interposer.Handler;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.ProcessMemory;
import org.iommu4j.platform.RegisterSpace;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.platform.Waiter;

/** Platforms whose ports do not keep a promise. */
final class PortKitSaboteurs {
    private PortKitSaboteurs() {}

    static List<PortSabotage> all() {
        List<PortSabotage> all = new ArrayList<>();
        all.addAll(memory());
        all.addAll(frames());
        all.addAll(registers());
        all.addAll(waiting());
        all.addAll(tables());
        all.addAll(config());
        all.addAll(process());
        return List.copyOf(all);
    }

    private static PortSabotage of(String promise, String about, Class<?> type, String method, Handler handler) {
        return PortSabotage.of(promise, about, type, method, handler);
    }

    /** Returns what a failing call is answered with, if it fails with one exception. */
    private static Handler instead(Class<? extends RuntimeException> thrown, Handler other) {
        return call -> {
            try {
                return call.proceed();
            } catch (RuntimeException e) {
                if (thrown.isInstance(e)) {
                    return other.handle(call);
                }
                throw e;
            }
        };
    }

    @SuppressWarnings("ThreadPriorityCheck") // the other thread is to come in between
    private static List<PortSabotage> memory() {
        Class<?> type = SystemMemory.class;
        return List.of(
                of(
                        "memory-load-1",
                        "loads the low half of a word",
                        type,
                        "load",
                        call -> (long) call.proceed() << 32 >> 32),
                of(
                        "memory-load-1",
                        "loads the last word of a frame from the next",
                        type,
                        "load",
                        call -> (call.number(0) & 0xfff) == 0xff8
                                ? call.target(SystemMemory.class).load(call.number(0) - 8)
                                : call.proceed()),
                of(
                        "memory-store-1",
                        "loses a store of 0",
                        type,
                        "store",
                        call -> call.number(1) == 0 ? null : call.proceed()),
                of(
                        "memory-store-1",
                        "stores at address 0 in vain",
                        type,
                        "store",
                        call -> call.number(0) == 0 ? null : call.proceed()),
                of("memory-cas-1", "says that it stored, always", type, "compareAndSet", call -> {
                    call.proceed();
                    return true;
                }),
                of("memory-cas-1", "compares the low half", type, "compareAndSet", call -> {
                    SystemMemory real = call.target(SystemMemory.class);
                    if ((int) real.load(call.number(0)) != (int) call.number(1)) {
                        return false;
                    }
                    real.store(call.number(0), call.number(2));
                    return true;
                }),
                of("memory-cas-1", "is not atomic", type, "compareAndSet", call -> {
                    SystemMemory real = call.target(SystemMemory.class);
                    if (real.load(call.number(0)) != call.number(1)) {
                        return false;
                    }
                    Thread.yield();
                    real.store(call.number(0), call.number(2));
                    return true;
                }),
                of("memory-cas-1", "stores without comparing", type, "compareAndSet", call -> {
                    boolean had = call.target(SystemMemory.class).load(call.number(0)) == call.number(1);
                    call.target(SystemMemory.class).store(call.number(0), call.number(2));
                    return had;
                }),
                of(
                        "memory-run-1",
                        "stores one word too few of long runs",
                        type,
                        "storeRun",
                        call -> call.number(3) > 8
                                ? call.with(3, (int) call.number(3) - 1).proceed()
                                : call.proceed()),
                of(
                        "memory-run-1",
                        "takes the increment for 32 bits",
                        type,
                        "storeRun",
                        call -> call.with(2, call.number(2) & 0xffffffffL).proceed()),
                of("memory-run-1", "stores one word too many", type, "storeRun", call -> {
                    long end = call.number(0) + call.number(3) * 8;
                    if ((end & 0xfff) != 0) {
                        call.target(SystemMemory.class).store(end, 0);
                    }
                    return call.proceed();
                }),
                of(
                        "memory-clear-1",
                        "looks at eight words at a time",
                        type,
                        "leadingClear",
                        call -> (int) call.proceed() & ~7),
                of(
                        "memory-clear-1",
                        "looks at the low half of the mask",
                        type,
                        "leadingClear",
                        call -> call.with(1, call.number(1) & 0xffffffffL).proceed()),
                of("memory-clear-1", "counts beyond what was asked for", type, "leadingClear", call -> {
                    int left = (int) (512 - (call.number(0) & 0xfff) / 8);
                    return call.with(2, left).proceed();
                }),
                of("memory-set-1", "wants every bit of the mask", type, "leadingSet", call -> {
                    SystemMemory real = call.target(SystemMemory.class);
                    int i = 0;
                    while (i < call.number(2)
                            && (real.load(call.number(0) + i * 8L) & call.number(1)) == call.number(1)) {
                        i++;
                    }
                    return i;
                }),
                of(
                        "memory-set-1",
                        "stops after 100 words",
                        type,
                        "leadingSet",
                        call -> Math.min(100, (int) call.proceed())),
                new PortSabotage("memory-1", "keeps the last store back until the next", type, "store", () -> {
                    Map<Thread, long[]> kept = new HashMap<>();
                    return call -> {
                        long[] last;
                        synchronized (kept) {
                            last = kept.put(Thread.currentThread(), new long[] {call.number(0), call.number(1)});
                        }
                        if (last != null) {
                            call.target(SystemMemory.class).store(last[0], last[1]);
                        }
                        return null;
                    };
                }),
                of("memory-1", "stores the end of a run late", type, "storeRun", call -> {
                    int count = (int) call.number(3);
                    if (count != 16) {
                        return call.proceed();
                    }
                    long last = call.number(1) + 15 * call.number(2);
                    call.with(3, 15).proceed();
                    call.target(SystemMemory.class).store(call.number(0) + 15 * 8, last - 1);
                    return null;
                }),
                of(
                        "memory-2",
                        "reads zeros beyond the end",
                        type,
                        "load",
                        instead(IllegalStateException.class, call -> 0L)),
                of(
                        "memory-2",
                        "loses stores beyond the end",
                        type,
                        "store",
                        instead(IllegalStateException.class, call -> null)),
                of(
                        "memory-2",
                        "wraps around",
                        type,
                        "compareAndSet",
                        call -> call.with(0, call.number(0) & (1L << 19) - 1).proceed()),
                of("memory-write-back-1", "writes nothing back", type, "writeBack", call -> null),
                of(
                        "memory-write-back-1",
                        "writes the first line back alone",
                        type,
                        "writeBack",
                        call -> call.with(1, 1L).proceed()),
                of(
                        "memory-write-back-1",
                        "forgets the line of the last byte",
                        type,
                        "writeBack",
                        call -> call.with(1, Math.max(1, call.number(1) - 64)).proceed()),
                of(
                        "memory-write-back-1",
                        "writes one frame back at most",
                        type,
                        "writeBack",
                        call -> call.with(1, Math.min(4096 - (call.number(0) & 0xfff), call.number(1)))
                                .proceed()));
    }

    private static List<PortSabotage> frames() {
        Class<?> type = FrameAllocator.class;
        return List.of(
                of("frames-allocate-1", "aligns to frames only", type, "allocate", call -> {
                    long given = (long) call.proceed();
                    return call.number(0) == 3 ? given + 4096 : given;
                }),
                new PortSabotage("frames-allocate-1", "gives a frame twice at the 20th time", type, "allocate", () -> {
                    AtomicInteger times = new AtomicInteger();
                    AtomicReference<Object> last = new AtomicReference<>();
                    return call -> {
                        Object given = call.proceed();
                        boolean same = times.incrementAndGet() % 20 == 0 && last.get() != null;
                        return same ? last.get() : last.updateAndGet(was -> given);
                    };
                }),
                of(
                        "frames-allocate-1",
                        "gives half of what was asked for",
                        type,
                        "allocate",
                        call -> call.number(0) > 4
                                ? call.with(0, (int) call.number(0) - 1).proceed()
                                : call.proceed()),
                of("frames-allocate-2", "has another errno", type, "allocate", swap(Errno.ENOMEM, Errno.EINVAL)),
                of(
                        "frames-allocate-2",
                        "returns 0 where none is left",
                        type,
                        "allocate",
                        instead(IommuException.class, call -> 0L)),
                of(
                        "frames-free-1",
                        "frees only the first frame",
                        type,
                        "free",
                        call -> call.with(1, 0).proceed()),
                of("frames-free-1", "takes no parts back", type, "free", call -> {
                    if (call.number(1) == 1) {
                        throw new IllegalStateException("no parts");
                    }
                    return call.proceed();
                }),
                of(
                        "frames-free-2",
                        "lets a frame be freed twice",
                        type,
                        "free",
                        instead(IllegalStateException.class, call -> null)),
                of("frames-free-2", "frees what it can of what is not all given out", type, "free", call -> {
                    try {
                        return call.proceed();
                    } catch (IllegalStateException e) {
                        if (call.number(1) > 0 && call.number(1) < 4) {
                            try {
                                call.target(FrameAllocator.class).free(call.number(0), 0);
                            } catch (IllegalStateException second) {
                                e.addSuppressed(second);
                            }
                        }
                        throw e;
                    }
                }),
                of("frames-free-2", "has another exception", type, "free", call -> {
                    try {
                        return call.proceed();
                    } catch (IllegalStateException e) {
                        throw new IllegalArgumentException(e);
                    }
                }),
                of("frames-in-use-1", "counts up to 100", type, "inUse", call -> Math.min(100L, (long) call.proceed())),
                new PortSabotage("frames-in-use-1", "counts one frame too many after the first", type, "inUse", () -> {
                    AtomicInteger times = new AtomicInteger();
                    return call -> (long) call.proceed() + (times.getAndIncrement() > 0 ? 1 : 0);
                }),
                new PortSabotage("frames-1", "remembers a block for two threads", type, "allocate", () -> {
                    AtomicReference<Thread> last = new AtomicReference<>();
                    AtomicReference<Object> block = new AtomicReference<>();
                    return call -> {
                        Object given = call.proceed();
                        Thread before = last.getAndSet(Thread.currentThread());
                        Object kept = block.getAndSet(given);
                        return before != null && before != Thread.currentThread() ? kept : given;
                    };
                }));
    }

    private static List<PortSabotage> registers() {
        Class<?> space = RegisterSpace.class;
        Class<?> window = RegisterWindow.class;
        List<PortSabotage> all = new ArrayList<>(List.of(
                of(
                        "registers-map-1",
                        "keeps registers from nobody",
                        space,
                        "map",
                        caught(Errno.EBUSY, () -> new RegisterArray().map(RegisterArray.BASE, RegisterArray.SIZE))),
                of(
                        "registers-map-2",
                        "maps what is not there",
                        space,
                        "map",
                        call -> call.with(0, RegisterArray.BASE).proceed()),
                of("registers-map-2", "has ENODEV where nothing is", space, "map", swap(Errno.ENXIO, Errno.ENODEV)),
                of("registers-map-3", "has ENXIO for another driver's", space, "map", swap(Errno.EBUSY, Errno.ENXIO)),
                new PortSabotage("registers-map-3", "refuses another driver the first time only", space, "map", () -> {
                    AtomicInteger refused = new AtomicInteger();
                    return onError(
                            (call, errno) -> errno == Errno.EBUSY && refused.getAndIncrement() > 0,
                            call -> new RegisterArray().map(RegisterArray.BASE, RegisterArray.SIZE));
                }),
                of("release-1", "never gives registers back", window, "release", call -> null),
                new PortSabotage("release-2", "fails when it is released again", window, "release", () -> {
                    AtomicInteger times = new AtomicInteger();
                    return call -> {
                        if (times.getAndIncrement() > 0) {
                            throw new IllegalStateException("released already");
                        }
                        return call.proceed();
                    };
                }),
                of(
                        "registers-2",
                        "reads zeros of hardware that is gone",
                        window,
                        "read64",
                        call -> (long) call.proceed() == -1L ? 0L : call.proceed()),
                of(
                        "registers-2",
                        "reads half of hardware that is gone",
                        window,
                        "read16",
                        call -> (int) call.proceed() == 0xffff ? 0xff : call.proceed()),
                new PortSabotage("registers-4", "has hardware work while somebody looks", window, "read32", () -> {
                    AtomicInteger looks = new AtomicInteger();
                    return call -> looks.incrementAndGet() < 3 ? call.proceed() : -1;
                }),
                of("registers-5", "reads zeros from registers that are not there", window, "read8", call -> 0),
                of("registers-5", "ignores writes of registers that are not there", window, "write16", call -> null),
                of("registers-5", "writes 32 bits where it has no 16", window, "write16", call -> {
                    call.target(RegisterWindow.class).write32((int) call.number(0) & ~3, (int) call.number(1));
                    return null;
                }),
                of("read-eight-1", "reads a byte with its sign", window, "read8", call ->
                        (int) (byte) (int) call.proceed()),
                of("read-sixteen-1", "reads 16 bits with their sign", window, "read16", call ->
                        (int) (short) (int) call.proceed()),
                of("read-sixteen-1", "swaps bytes", window, "read16", call ->
                        (int) Short.toUnsignedLong(Short.reverseBytes((short) (int) call.proceed()))),
                of(
                        "read-thirty-two-1",
                        "loses the top bit",
                        window,
                        "read32",
                        call -> (int) call.proceed() & Integer.MAX_VALUE),
                of("read-sixty-four-1", "reads the low half with its sign", window, "read64", call ->
                        (long) (int) (long) call.proceed()),
                of(
                        "read-sixty-four-1",
                        "swaps halves",
                        window,
                        "read64",
                        call -> Long.rotateLeft((long) call.proceed(), 32)),
                of("write-eight-1", "writes 16 bits", window, "write8", call -> {
                    RegisterWindow real = call.target(RegisterWindow.class);
                    int offset = (int) call.number(0) & ~1;
                    real.write16(offset, (int) call.number(1) & 0xff);
                    return null;
                }),
                of(
                        "write-eight-1",
                        "writes even bytes only",
                        window,
                        "write8",
                        call -> call.number(0) % 2 == 0 ? call.proceed() : null),
                of("write-sixteen-1", "writes 32 bits", window, "write16", call -> {
                    call.target(RegisterWindow.class).write32((int) call.number(0) & ~3, (int) call.number(1));
                    return null;
                }),
                of("write-thirty-two-1", "clears the other half", window, "write32", call -> {
                    RegisterWindow real = call.target(RegisterWindow.class);
                    int offset = (int) call.number(0);
                    long value = call.number(1) & 0xffffffffL;
                    real.write64(offset & ~7, (offset & 4) == 0 ? value : value << 32);
                    return null;
                }),
                of("write-sixty-four-1", "writes the low half", window, "write64", call -> {
                    call.target(RegisterWindow.class).write32((int) call.number(0), (int) call.number(1));
                    return null;
                }),
                new PortSabotage(
                        "registers-3", "merges a write that equals the one before last", window, "write64", () -> {
                            AtomicReference<Call> kept = new AtomicReference<>();
                            return call -> {
                                Call before = kept.getAndSet(call);
                                Object result = call.proceed();
                                return before == null || before.number(0) != call.number(0) ? result : before.proceed();
                            };
                        })));
        for (String access :
                List.of("read8", "read16", "read32", "read64", "write8", "write16", "write32", "write64")) {
            all.add(of(
                    "registers-1",
                    "does not look at the offset of " + access,
                    window,
                    access,
                    instead(
                            IllegalStateException.class,
                            call -> access.equals("read64")
                                    ? (Object) Long.valueOf(-1)
                                    : access.startsWith("read") ? -1 : null)));
        }
        return all;
    }

    private static List<PortSabotage> waiting() {
        Class<?> type = Waiter.class;
        return List.of(
                of(
                        "await-1",
                        "ends after the first look",
                        type,
                        "await",
                        call -> call.with(1, 0L).proceed()),
                of(
                        "await-2",
                        "does not look without ticks",
                        type,
                        "await",
                        call -> call.number(1) == 0 ? false : call.proceed()),
                of(
                        "await-2",
                        "looks once too few",
                        type,
                        "await",
                        call -> call.number(1) <= 1 ? false : call.proceed()),
                of("await-3", "says that it held, always", type, "await", call -> {
                    call.proceed();
                    return true;
                }),
                of("await-3", "says that it did not hold at the last look", type, "await", call -> {
                    boolean held = (boolean) call.proceed();
                    return held && call.number(1) != 0 && call.number(1) != 1;
                }),
                of("waiter-1", "looks as often as the clock says", type, "await", call -> {
                    BooleanSupplier condition = call.argument(0, BooleanSupplier.class);
                    for (long i = System.nanoTime() / 1000 % 61; i > 0; i--) {
                        if (condition.getAsBoolean()) {
                            return true;
                        }
                    }
                    return call.proceed();
                }));
    }

    private static List<PortSabotage> tables() {
        Class<?> type = FirmwareTables.class;
        return List.of(
                new PortSabotage("device-tree-1", "hands out the tree itself", type, "deviceTree", () -> {
                    Object[] kept = new Object[1];
                    return call -> {
                        kept[0] = kept[0] == null || !((Optional<?>) kept[0]).isPresent() ? call.proceed() : kept[0];
                        return kept[0];
                    };
                }),
                of("device-tree-1", "always has a tree", type, "deviceTree", call -> {
                    Optional<?> tree = (Optional<?>) call.proceed();
                    return tree.isPresent() ? tree : Optional.of(new byte[40]);
                }),
                of(
                        "table-1",
                        "mends the checksum",
                        type,
                        "table",
                        call -> ((Optional<?>) call.proceed())
                                .map(byte[].class::cast)
                                .map(table -> {
                                    if (table.length > 9) {
                                        table[9]++;
                                    }
                                    return table;
                                })),
                new PortSabotage("table-1", "hands out the table itself", type, "table", () -> {
                    Map<Object, Object> kept = new HashMap<>();
                    return call -> kept.computeIfAbsent(call.argument(0, Object.class), signature -> {
                        try {
                            return call.proceed();
                        } catch (Throwable e) {
                            throw new IllegalStateException(e);
                        }
                    });
                }),
                of(
                        "table-1",
                        "leaves the header out",
                        type,
                        "table",
                        call -> ((Optional<?>) call.proceed())
                                .map(byte[].class::cast)
                                .map(table -> table.length < 36 ? table : Arrays.copyOfRange(table, 36, table.length))),
                of("table-1", "finds a table by its first three letters", type, "table", call -> {
                    String signature = call.argument(0, String.class);
                    return signature.equals("AAA") ? call.with(0, "AAAA").proceed() : call.proceed();
                }),
                of(
                        "table-1",
                        "leaves short tables out",
                        type,
                        "table",
                        call -> ((Optional<?>) call.proceed())
                                .map(byte[].class::cast)
                                .filter(table -> table.length >= 36)));
    }

    private static List<PortSabotage> config() {
        Class<?> type = ConfigSpace.class;
        return List.of(
                of(
                        "config-1",
                        "reads zeros beyond the end",
                        type,
                        "read",
                        call -> call.number(0) >= call.target(ConfigSpace.class).size() ? 0 : call.proceed()),
                of(
                        "config-1",
                        "reads 32 ones of every width",
                        type,
                        "read",
                        call -> call.number(0) >= call.target(ConfigSpace.class).size() ? -1 : call.proceed()),
                of("config-2", "wraps writes around", type, "write", call -> {
                    int size = call.target(ConfigSpace.class).size();
                    return call.with(0, (int) call.number(0) % size).proceed();
                }),
                of(
                        "config-size-1",
                        "has 255 bytes",
                        type,
                        "size",
                        call -> (int) call.proceed() == 256 ? 255 : call.proceed()),
                of("config-size-1", "is an Express function, always", type, "size", call -> 4096),
                of(
                        "config-read-1",
                        "reads with a sign",
                        type,
                        "read",
                        call -> call.number(1) == 1 ? (int) (byte) (int) call.proceed() : call.proceed()),
                of(
                        "config-read-1",
                        "reads big endian",
                        type,
                        "read",
                        call -> call.number(1) == 4 ? Integer.reverseBytes((int) call.proceed()) : call.proceed()),
                of("config-write-1", "loses bytes", type, "write", call -> call.number(1) == 1 ? null : call.proceed()),
                of("config-write-1", "writes half a word whole", type, "write", call -> {
                    if (call.number(1) == 1 && call.number(0) == 4) {
                        return call.with(1, 2).with(2, (int) call.number(2) | 2).proceed();
                    }
                    return call.proceed();
                }),
                of(
                        "header-layout-1",
                        "keeps the high bit",
                        type,
                        "headerLayout",
                        call -> call.target(ConfigSpace.class).read(0x0e, 1)),
                of("header-layout-1", "knows three layouts", type, "headerLayout", call -> (int) call.proceed() & 3),
                of(
                        "multi-function-1",
                        "says yes of bridges",
                        type,
                        "isMultiFunction",
                        call -> (boolean) call.proceed()
                                || call.target(ConfigSpace.class).isBridge()),
                of(
                        "bridge-1",
                        "does not know CardBus",
                        type,
                        "isBridge",
                        call -> call.target(ConfigSpace.class).headerLayout() == 1),
                of(
                        "bridge-1",
                        "takes a multi-function bridge for none",
                        type,
                        "isBridge",
                        call -> (boolean) call.proceed()
                                && !call.target(ConfigSpace.class).isMultiFunction()),
                of(
                        "secondary-bus-1",
                        "returns the primary bus",
                        type,
                        "secondaryBus",
                        call -> call.target(ConfigSpace.class).read(0x18, 1)),
                of("secondary-bus-1", "returns a byte with its sign", type, "secondaryBus", call ->
                        (int) (byte) (int) call.proceed()),
                of("capability-1", "does not look at the status register", type, "findCapability", call -> {
                    ConfigSpace real = call.target(ConfigSpace.class);
                    int at = real.read(0x34, 1) & 0xfc;
                    for (int hops = 0; at >= 0x40 && hops < 48; hops++) {
                        if (real.read(at, 1) == call.number(0)) {
                            return at;
                        }
                        at = real.read(at + 1, 1) & 0xfc;
                    }
                    return 0;
                }),
                of(
                        "capability-1",
                        "looks at the first three",
                        type,
                        "findCapability",
                        call -> (int) call.proceed() == 0xfc ? 0 : call.proceed()),
                of(
                        "extended-capability-1",
                        "finds the first one only",
                        type,
                        "findExtendedCapability",
                        call -> (int) call.proceed() == 0x100 ? 0x100 : 0),
                of("extended-capability-1", "looks beyond the list", type, "findExtendedCapability", call -> {
                    ConfigSpace real = call.target(ConfigSpace.class);
                    for (int at = 0x100; at < real.size(); at += 4) {
                        if ((real.read(at, 4) & 0xffff) == call.number(0)) {
                            return at;
                        }
                    }
                    return 0;
                }));
    }

    private static List<PortSabotage> process() {
        Class<?> type = ProcessMemory.class;
        return List.of(
                of(
                        "process-translate-1",
                        "loses the offset in the page",
                        type,
                        "translate",
                        call -> (long) call.proceed() == ProcessMemory.UNMAPPED ? -1L : (long) call.proceed() & -4096),
                of(
                        "process-translate-1",
                        "translates without the top bit",
                        type,
                        "translate",
                        call -> call.with(0, call.number(0) & Long.MAX_VALUE).proceed()),
                of("pin-1", "pins the first page alone", type, "pin", call -> {
                    ProcessMemory real = call.target(ProcessMemory.class);
                    long[] frames = call.argument(3, long[].class);
                    real.pin(call.number(0), 1, false, frames);
                    for (int i = 1; i < call.number(1); i++) {
                        frames[i] = real.translate(call.number(0) + i * 4096L);
                    }
                    return null;
                }),
                of("pin-1", "keeps the pages before the one that fails", type, "pin", call -> {
                    try {
                        return call.proceed();
                    } catch (IommuException e) {
                        if (call.number(1) > 1) {
                            try {
                                call.target(ProcessMemory.class).pin(call.number(0), 1, false, new long[1]);
                            } catch (IommuException second) {
                                e.addSuppressed(second);
                            }
                        }
                        throw e;
                    }
                }),
                of("pin-2", "reports the first frame and those after it", type, "pin", call -> {
                    call.proceed();
                    long[] frames = call.argument(3, long[].class);
                    for (int i = 1; i < call.number(1); i++) {
                        frames[i] = frames[0] + i * 8192L;
                    }
                    return null;
                }),
                of("pin-2", "reports frames behind the last", type, "pin", call -> {
                    call.proceed();
                    long[] frames = call.argument(3, long[].class);
                    if (frames.length > call.number(1)) {
                        frames[(int) call.number(1)] = 0;
                    }
                    return null;
                }),
                of(
                        "pin-3",
                        "pins read-only pages for writing",
                        type,
                        "pin",
                        call -> call.with(2, false).proceed()),
                of("pin-3", "has ENOMEM for a page that is not there", type, "pin", swap(Errno.EFAULT, Errno.ENOMEM)),
                of(
                        "pin-3",
                        "pins an address of the kernel's half",
                        type,
                        "pin",
                        call -> call.with(0, call.number(0) & Long.MAX_VALUE).proceed()),
                new PortSabotage("unpin-1", "takes all pins of a page back", type, "unpin", () -> {
                    AtomicInteger taken = new AtomicInteger();
                    return call -> {
                        call.proceed();
                        if (taken.getAndIncrement() == 0) {
                            try {
                                call.proceed();
                            } catch (IllegalStateException once) {
                                return null;
                            }
                        }
                        return null;
                    };
                }),
                of(
                        "unpin-1",
                        "forgets pages that were not written",
                        type,
                        "unpin",
                        call -> call.argument(1, Boolean.class) ? call.proceed() : null),
                of("no-ram-1", "takes memory for registers", type, "isReserved", call -> true),
                of("pinned-1", "counts pages once", type, "pinned", call -> Math.min(16L, (long) call.proceed())),
                of(
                        "charge-1",
                        "charges a page at a time",
                        type,
                        "charge",
                        call -> call.with(0, Math.min(1L, call.number(0))).proceed()),
                of("charge-1", "has a limit with CAP_IPC_LOCK too", type, "charge", call -> {
                    if (call.number(0) > 1L << 30) {
                        throw new IommuException(Errno.ENOMEM, "too much");
                    }
                    return call.proceed();
                }),
                of("charge-2", "charges up to the limit when it refuses", type, "charge", call -> {
                    try {
                        return call.proceed();
                    } catch (IommuException e) {
                        if (call.target(ProcessMemory.class).charged() == 0) {
                            call.target(ProcessMemory.class).charge(1);
                        }
                        throw e;
                    }
                }),
                of("charge-2", "has EINVAL beyond the limit", type, "charge", swap(Errno.ENOMEM, Errno.EINVAL)),
                of("charge-2", "has no limit", type, "charge", instead(IommuException.class, call -> null)),
                of(
                        "uncharge-1",
                        "takes half of a charge back",
                        type,
                        "uncharge",
                        call -> call.with(0, call.number(0) / 2).proceed()),
                of("charged-1", "counts bytes", type, "charged", call -> (long) call.proceed() * 4096));
    }
}
