// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import java.lang.reflect.Method;
import java.util.OptionalLong;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.InvocationInterceptor;
import org.junit.jupiter.api.extension.ReflectiveInvocationContext;
import org.junit.platform.commons.support.AnnotationSupport;
import org.opentest4j.TestAbortedException;

/** Puts the promise and the seed into the failures of {@link PortConformance}. */
final class PortExtension implements InvocationInterceptor {
    PortExtension() {}

    @Override
    public void interceptTestMethod(
            Invocation<Void> invocation, ReflectiveInvocationContext<Method> method, ExtensionContext context)
            throws Throwable {
        try {
            invocation.proceed();
        } catch (TestAbortedException aborted) {
            throw aborted;
        } catch (Throwable failure) {
            throw broken(failure, context);
        }
    }

    private static Throwable broken(Throwable failure, ExtensionContext context) {
        StringBuilder message = new StringBuilder("promise broken\n");
        AnnotationSupport.findAnnotation(context.getRequiredTestMethod(), Promise.class)
                .ifPresent(promise -> {
                    for (String id : promise.value()) {
                        message.append("  [")
                                .append(id)
                                .append("] ")
                                .append(Promises.sentence(id))
                                .append('\n');
                    }
                });
        message.append(
                failure.getMessage() == null
                        ? failure.toString()
                        : failure.getMessage().strip());
        OptionalLong seed = ((PortConformance) context.getRequiredTestInstance()).seed();
        seed.ifPresent(value -> message.append("\nseed ")
                .append(value)
                .append(", -Diommu4j.seed=")
                .append(value)
                .append(" replays it"));
        return new BrokenPromiseError(message.toString(), failure);
    }
}
