// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.capability.CacheCoherencyEnforcement;
import org.iommu4j.capability.DirtyTracking;
import org.iommu4j.capability.GuestInvalidation;
import org.iommu4j.capability.Nesting;
import org.iommu4j.capability.PageRequests;
import org.iommu4j.capability.PasidAttachment;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.ProcessMemory;
import org.iommu4j.platform.RegisterSpace;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.platform.Waiter;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.TableReader;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.spi.TranslationUnitProvider;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.spi.KernelLog;
import org.iommu4j.spi.VendorContext;
import org.iommu4j.tck.Subject;

/**
 * Stands between a driver, its callers, its ports and its silicon, and changes the calls that it was told to.
 *
 * <p>Every object of an interface of the contract is shown as a proxy, and unwrapped again where it is an argument. An
 * object whose interface no change concerns, and which leads to none that does, is left as it is.
 */
final class Interposer {
    /** Interfaces that callers of a driver see. */
    private static final List<Class<?>> FRONT = List.of(
            IommuVendor.class,
            Iommu.class,
            IommuDevice.class,
            IommuDomain.class,
            CacheCoherencyEnforcement.class,
            DirtyTracking.class,
            GuestInvalidation.class,
            Nesting.class,
            PageRequests.class,
            PasidAttachment.class,
            KernelLog.class);

    /** Interfaces of ports. */
    private static final List<Class<?>> PORTS = List.of(
            SystemMemory.class,
            FrameAllocator.class,
            RegisterSpace.class,
            RegisterWindow.class,
            Waiter.class,
            FirmwareTables.class,
            ConfigSpace.class,
            ProcessMemory.class);

    /** Interfaces of silicon. */
    private static final List<Class<?>> SILICON =
            List.of(TranslationUnitProvider.class, TranslationUnit.class, TableReader.class);

    private static final List<Class<?>> ALL = Stream.of(FRONT, PORTS, SILICON, List.<Class<?>>of(Fabric.class))
            .flatMap(List::stream)
            .toList();

    private final List<Change> changes;
    private final Map<Object, Object> shown = Collections.synchronizedMap(new IdentityHashMap<>());
    private final Map<Object, Object> real = Collections.synchronizedMap(new IdentityHashMap<>());

    Interposer(List<Change> changes) {
        this.changes = List.copyOf(changes);
    }

    /**
     * What becomes of the calls of one method.
     *
     * @param type the interface of the contract
     * @param method its name, of all overloads
     * @param handler does it
     */
    record Change(Class<?> type, String method, Handler handler) {}

    /** Does a call in place of the real object. */
    @FunctionalInterface
    interface Handler {
        /** Returns the call's result. */
        Object handle(Call call) throws Throwable;
    }

    /** One call; its arguments may be changed before it proceeds. */
    static final class Call {
        private final Interposer interposer;
        private final Object target;
        private final Method method;
        private final Object[] arguments;

        private Call(Interposer interposer, Object target, Method method, Object[] arguments) {
            this.interposer = interposer;
            this.target = target;
            this.method = method;
            this.arguments = arguments;
        }

        /** Returns the real object, for calls past every change. */
        <T> T target(Class<T> type) {
            return type.cast(target);
        }

        /** Returns how many arguments there are. */
        int count() {
            return arguments.length;
        }

        /** Returns an argument; objects of the contract are the real ones. */
        <T> T argument(int index, Class<T> type) {
            return type.cast(arguments[index]);
        }

        /** Returns a number. */
        long number(int index) {
            return ((Number) arguments[index]).longValue();
        }

        /** Changes an argument. */
        Call with(int index, Object value) {
            arguments[index] = value;
            return this;
        }

        /** Does the real call. */
        Object proceed() throws Throwable {
            return interposer.invoke(target, method, arguments);
        }
    }

    /** Returns one that stands everywhere and changes nothing. */
    static Interposer transparent() {
        Handler unchanged = Call::proceed;
        return new Interposer(List.of(
                new Change(IommuVendor.class, "name", unchanged),
                new Change(TranslationUnitProvider.class, "name", unchanged),
                new Change(Fabric.class, "status", unchanged),
                new Change(SystemMemory.class, "writeBack", unchanged),
                new Change(FrameAllocator.class, "free", unchanged),
                new Change(RegisterWindow.class, "release", unchanged),
                new Change(Waiter.class, "await", unchanged),
                new Change(FirmwareTables.class, "table", unchanged)));
    }

    /** Returns the subject with this between its parts. */
    Subject between(Subject subject) {
        IommuVendors vendors = !concerns(FRONT)
                ? subject.vendors()
                : IommuVendors.of(subject.vendors().all().stream()
                        .map(vendor -> show(IommuVendor.class, vendor))
                        .toList());
        MachineFactory machines = !concerns(SILICON)
                ? subject.machines()
                : new MachineFactory(subject.machines().providers().stream()
                        .map(provider -> show(TranslationUnitProvider.class, provider))
                        .toList());
        Subject between =
                subject.with(vendors, machines, context -> ports(subject.ports().apply(context)));
        return concerns(List.of(Fabric.class)) ? between.withFabrics(fabric -> show(Fabric.class, fabric)) : between;
    }

    /** Returns a port with this between it and its callers. */
    <T> T over(Class<T> port, T good) {
        return show(port, good);
    }

    private VendorContext ports(VendorContext context) {
        return context.withMemory(show(SystemMemory.class, context.memory()))
                .withFrames(show(FrameAllocator.class, context.frames()))
                .withRegisters(show(RegisterSpace.class, context.registers()))
                .withWaiter(show(Waiter.class, context.waiter()))
                .withFirmware(show(FirmwareTables.class, context.firmware()));
    }

    private boolean concerns(List<Class<?>> types) {
        return changes.stream().anyMatch(change -> types.contains(change.type()));
    }

    private boolean isShown(Class<?> type) {
        if (FRONT.contains(type)) {
            return concerns(FRONT);
        }
        if (type == RegisterSpace.class) {
            return concerns(List.of(RegisterSpace.class, RegisterWindow.class));
        }
        return SILICON.contains(type) ? concerns(SILICON) : concerns(List.of(type));
    }

    /** Shows an object as a proxy of all interfaces of the contract that it has: a domain may be its own capability. */
    private <T> T show(Class<T> type, T object) {
        if (!isShown(type) || real.containsKey(object)) {
            return object;
        }
        return type.cast(shown.computeIfAbsent(object, target -> {
            // A domain may be its own control over no-snoop: the proxy is all that the object is.
            Class<?>[] types =
                    ALL.stream().filter(each -> each.isInstance(target)).toArray(Class<?>[]::new);
            Object proxy = Proxy.newProxyInstance(
                    Interposer.class.getClassLoader(),
                    types,
                    (self, method, arguments) -> call(target, method, arguments));
            real.put(proxy, target);
            return proxy;
        }));
    }

    private Object call(Object target, Method method, Object[] given) throws Throwable {
        Object[] arguments = given == null ? new Object[0] : given.clone();
        for (int i = 0; i < arguments.length; i++) {
            // A unit is handed its fabric once, and calls it from then on.
            arguments[i] =
                    arguments[i] instanceof Fabric ? arguments[i] : real.getOrDefault(arguments[i], arguments[i]);
        }
        for (Change change : changes) {
            if (method.getDeclaringClass().isAssignableFrom(change.type())
                    && change.type().isInstance(target)
                    && change.method().equals(method.getName())) {
                return wrapped(change.handler().handle(new Call(this, target, method, arguments)));
            }
        }
        return wrapped(invoke(target, method, arguments));
    }

    private Object invoke(Object target, Method method, Object[] arguments) throws Throwable {
        try {
            return method.invoke(target, arguments);
        } catch (InvocationTargetException e) {
            throw e.getCause();
        }
    }

    private Object wrapped(Object result) {
        if (result instanceof Optional<?> optional) {
            return optional.map(this::wrapped);
        }
        for (Class<?> type : ALL) {
            if (type.isInstance(result)) {
                return shown(type, result);
            }
        }
        return result;
    }

    private <T> T shown(Class<T> type, Object object) {
        return show(type, type.cast(object));
    }
}
