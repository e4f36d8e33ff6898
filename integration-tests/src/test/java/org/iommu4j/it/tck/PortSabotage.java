// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.function.Supplier;
import org.iommu4j.platform.RegisterSpace;
import org.iommu4j.platform.RegisterWindow;

/**
 * Breaks one promise of a port.
 *
 * @param promise the id of the promise that the kit has to name
 * @param about what it does, for the display name
 * @param type the port
 * @param method the method that acts wrongly
 * @param handler makes what acts in its place, anew for each port
 */
record PortSabotage(String promise, String about, Class<?> type, String method, Supplier<Handler> handler) {
    /** Changes nothing. */
    static final PortSabotage NONE = new PortSabotage("", "", Void.class, "", () -> Call::proceed);

    /** Makes a saboteur without state. */
    static PortSabotage of(String promise, String about, Class<?> type, String method, Handler handler) {
        return new PortSabotage(promise, about, type, method, () -> handler);
    }

    /** Does a call in place of the real port. */
    @FunctionalInterface
    interface Handler {
        /** Returns the call's result. */
        Object handle(Call call) throws Throwable;
    }

    /** One call. */
    record Call(Object target, Method method, Object[] arguments) {
        /** Does the real call. */
        Object proceed() throws Throwable {
            try {
                return method.invoke(target, arguments);
            } catch (InvocationTargetException e) {
                throw e.getCause();
            }
        }

        /** Changes an argument. */
        Call with(int index, Object value) {
            arguments[index] = value;
            return this;
        }

        /** Returns a number. */
        long number(int index) {
            return ((Number) arguments[index]).longValue();
        }

        /** Returns the real port. */
        <T> T real(Class<T> as) {
            return as.cast(target);
        }
    }

    /** Returns a port as this leaves it. */
    <T> T of(Class<T> port, T good) {
        if (port != type) {
            return good;
        }
        Handler acting = handler.get();
        return port.cast(Proxy.newProxyInstance(
                PortSabotage.class.getClassLoader(), new Class<?>[] {port}, (self, called, given) -> {
                    Call call = new Call(good, called, given == null ? new Object[0] : given);
                    return called.getName().equals(method) ? acting.handle(call) : call.proceed();
                }));
    }

    /** Returns registers as this leaves them; their windows too. */
    RegisterSpace of(RegisterSpace good) {
        RegisterSpace space = of(RegisterSpace.class, good);
        return type == RegisterWindow.class ? (base, size) -> of(RegisterWindow.class, good.map(base, size)) : space;
    }

    @Override
    public String toString() {
        return "[" + promise + "] " + about;
    }
}
