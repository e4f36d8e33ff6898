// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import java.lang.reflect.Method;
import java.util.List;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.InvocationInterceptor;
import org.junit.jupiter.api.extension.ReflectiveInvocationContext;
import org.opentest4j.TestAbortedException;

/** Puts the promise and the seed into the failures of {@link PortConformance}. */
final class PortExtension implements InvocationInterceptor {
    PortExtension() {}

    @Override
    public void interceptTestMethod(
            Invocation<Void> invocation, ReflectiveInvocationContext<Method> method, ExtensionContext context)
            throws Throwable {
        try {
            TestThread.call(context, invocation::proceed);
        } catch (TestAbortedException aborted) {
            throw aborted;
        } catch (Throwable failure) {
            Seed seed = ((PortConformance) context.getRequiredTestInstance()).seed();
            throw BrokenPromiseError.of(context.getRequiredTestMethod(), List.of(), failure, seed.toString());
        }
    }
}
