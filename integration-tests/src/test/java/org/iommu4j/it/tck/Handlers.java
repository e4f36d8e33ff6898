// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import java.util.Collection;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BiPredicate;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.it.tck.Interposer.Call;
import org.iommu4j.it.tck.Interposer.Handler;

/** What saboteurs do in place of calls. */
final class Handlers {
    private Handlers() {}

    /** Refuses a call. */
    @SuppressWarnings("DoNotCallSuggester") // to be the value of a lambda
    static Object refuse(Errno errno) {
        throw new IommuException(errno, "sabotage");
    }

    /** Changes calls that it is told of. */
    static Handler when(Predicate<Call> condition, Handler change) {
        return call -> condition.test(call) ? change.handle(call) : call.proceed();
    }

    /** Does the call, and notes that it has returned. */
    static Handler noting(AtomicBoolean done) {
        return call -> {
            Object result = call.proceed();
            done.set(true);
            return result;
        };
    }

    /** Does something else in place of some refusals. */
    static Handler onError(BiPredicate<Call, Errno> refusals, Handler instead) {
        return call -> {
            try {
                return call.proceed();
            } catch (IommuException e) {
                if (!refusals.test(call, e.errno())) {
                    throw e;
                }
                return instead.handle(call);
            }
        };
    }

    /** Does something else in place of refusals with some errnos. */
    static Handler onError(Collection<Errno> errnos, Handler instead) {
        return onError((call, errno) -> errnos.contains(errno), instead);
    }

    /** Does something else in place of refusals with an errno. */
    static Handler caught(Errno errno, Supplier<Object> instead) {
        return onError(List.of(errno), call -> instead.get());
    }

    /** Refuses with another errno. */
    static Handler swap(Errno from, Errno to) {
        return caught(from, () -> refuse(to));
    }

    /** Does something after refusals with some errnos, which are passed on. */
    static Handler afterError(Collection<Errno> errnos, Handler more) {
        return call -> {
            try {
                return call.proceed();
            } catch (IommuException e) {
                if (errnos.contains(e.errno())) {
                    try {
                        more.handle(call);
                    } catch (IommuException ignored) {
                        // What is refused as well changes nothing.
                        throw e;
                    }
                }
                throw e;
            }
        };
    }
}
