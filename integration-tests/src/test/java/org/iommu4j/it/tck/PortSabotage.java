// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import java.util.List;
import java.util.function.Supplier;
import org.iommu4j.it.tck.Interposer.Call;
import org.iommu4j.it.tck.Interposer.Change;
import org.iommu4j.it.tck.Interposer.Handler;
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

    /** Returns a port as this leaves it. */
    <T> T of(Class<T> port, T good) {
        if (port != type) {
            return good;
        }
        return new Interposer(List.of(new Change(type, method, handler.get()))).over(port, good);
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
