// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import java.util.List;
import java.util.function.Supplier;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.it.tck.Interposer.Change;
import org.iommu4j.it.tck.Interposer.Handler;

/** Calls that are refused otherwise than they should be. */
final class Refusals {
    private Refusals() {}

    /** Refuses a call. */
    @SuppressWarnings("DoNotCallSuggester") // to be the value of a lambda
    static Object refuse(Errno errno) {
        throw new IommuException(errno, "sabotage");
    }

    /** Refuses with another errno. */
    static Handler swap(Errno from, Errno to) {
        return caught(from, () -> refuse(to));
    }

    /** Does something else in place of a refusal. */
    static Handler caught(Errno errno, Supplier<Object> instead) {
        return call -> {
            try {
                return call.proceed();
            } catch (IommuException e) {
                if (e.errno() == errno) {
                    return instead.get();
                }
                throw e;
            }
        };
    }

    /** Makes a saboteur with state. */
    static Saboteur with(String promise, String about, Class<?> type, String method, Supplier<Handler> handler) {
        return Saboteur.of(promise, about, () -> List.of(new Change(type, method, handler.get())));
    }
}
