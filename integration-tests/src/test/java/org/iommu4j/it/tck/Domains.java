// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import static org.iommu4j.it.tck.Handlers.onError;
import static org.iommu4j.it.tck.Handlers.swap;

import java.lang.reflect.Proxy;
import java.util.List;
import java.util.function.Supplier;
import org.iommu4j.Errno;
import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.it.tck.Interposer.Call;
import org.iommu4j.it.tck.Interposer.Change;
import org.iommu4j.it.tck.Interposer.Handler;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.VendorContext;

/** What saboteurs of domains do. */
final class Domains {
    private Domains() {}

    /** A saboteur of one method of domains. */
    static Saboteur of(String promise, String about, String method, Handler handler) {
        return Saboteur.of(promise, about, IommuDomain.class, method, handler);
    }

    /** A saboteur of one method of domains, with state. */
    static Saboteur with(String promise, String about, String method, Supplier<Handler> handler) {
        return Saboteur.with(promise, about, IommuDomain.class, method, handler);
    }

    /** Refusals of one kind are swallowed. */
    static Saboteur silent(String promise, String method, Object result, Errno... errnos) {
        return of(promise, method + " hides " + List.of(errnos), method, onError(List.of(errnos), call -> result));
    }

    /** Refusals of one kind have another errno. */
    static Saboteur misnamed(String promise, String method, Errno errno, Errno other) {
        return of(promise, method + " throws " + other + " for " + errno, method, swap(errno, other));
    }

    /** Returns the domain that is called. */
    static IommuDomain domain(Call call) {
        return call.target(IommuDomain.class);
    }

    /** Returns the smallest page of the domain that is called; 4096 of one without pages. */
    static long page(Call call) {
        long sizes = domain(call).pageSizes();
        return sizes == 0 ? 4096 : Long.lowestOneBit(sizes);
    }

    /** Unmaps and syncs past every change. */
    static void unmap(IommuDomain domain, long iova, long size) {
        IotlbGather gather = new IotlbGather();
        domain.unmap(iova, size, gather);
        domain.sync(gather);
    }

    /** The ports that a driver was opened with, for saboteurs that use them as the driver does. */
    static final class Opened {
        private VendorContext context;

        Change change() {
            return new Change(IommuVendor.class, "open", call -> {
                context = call.argument(0, VendorContext.class);
                return call.proceed();
            });
        }

        FrameAllocator frames() {
            return context.frames();
        }
    }

    /** Returns an object of a capability that does nothing. */
    static <T> T dummy(Class<T> type) {
        return type.cast(Proxy.newProxyInstance(
                type.getClassLoader(), new Class<?>[] {type}, (self, method, arguments) -> null));
    }
}
