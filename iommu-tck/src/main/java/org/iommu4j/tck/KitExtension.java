// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.extension.AfterTestExecutionCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ExtensionContext.Namespace;
import org.junit.jupiter.api.extension.InvocationInterceptor;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolver;
import org.junit.jupiter.api.extension.ReflectiveInvocationContext;
import org.junit.platform.commons.support.AnnotationSupport;
import org.opentest4j.TestAbortedException;

/**
 * Gives tests a {@link Bench}, asserts consequences where abilities are absent, puts the promise into failures, and
 * keeps the account for the report.
 */
final class KitExtension implements ParameterResolver, InvocationInterceptor, AfterTestExecutionCallback {
    private static final Namespace KIT = Namespace.create(KitExtension.class);

    KitExtension() {}

    @Override
    public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
        Class<?> type = parameter.getParameter().getType();
        return type == Bench.class || type == VendorBench.class || type == SiliconBench.class;
    }

    /** The bench of a test, made when something first asks for it. */
    @Override
    public Account resolveParameter(ParameterContext parameter, ExtensionContext context) {
        Class<?> type = parameter.getParameter().getType();
        if (type == SiliconBench.class) {
            return siliconBench(context);
        }
        return type == Bench.class ? bench(context) : vendorBench(context);
    }

    private static SiliconBench siliconBench(ExtensionContext context) {
        return bench(SiliconBench.class, context, SiliconBench::new);
    }

    private static VendorBench vendorBench(ExtensionContext context) {
        return bench(VendorBench.class, context, VendorBench::new);
    }

    private static Bench bench(ExtensionContext context) {
        return bench(Bench.class, context, Bench::new);
    }

    private static <T> T bench(Class<T> type, ExtensionContext context, Function<Subject, T> made) {
        T bench = context.getStore(KIT).get(type, type);
        if (bench == null) {
            try {
                bench = TestThread.call(context, () -> made.apply(subject(context)));
            } catch (Throwable failure) {
                throw broken(failure, List.of(), context);
            }
            context.getStore(KIT).put(type, bench);
        }
        return bench;
    }

    private static Subject subject(ExtensionContext context) {
        return context.getRequiredTestInstances()
                .findInstance(Conformance.class)
                .orElseThrow()
                .subject;
    }

    @Override
    public void interceptTestMethod(
            Invocation<Void> invocation, ReflectiveInvocationContext<Method> method, ExtensionContext context)
            throws Throwable {
        intercept(invocation, context);
    }

    @Override
    public void interceptTestTemplateMethod(
            Invocation<Void> invocation, ReflectiveInvocationContext<Method> method, ExtensionContext context)
            throws Throwable {
        intercept(invocation, context);
    }

    private static void intercept(Invocation<Void> invocation, ExtensionContext context) throws Throwable {
        List<Ability> absent = absent(context);
        try {
            if (absent.isEmpty()) {
                TestThread.call(context, invocation::proceed);
            } else {
                invocation.skip();
                Bench bench = bench(context);
                TestThread.call(context, () -> {
                    absent.forEach(ability -> ability.assertConsequence(bench));
                    return null;
                });
                context.getStore(KIT).put(Ability.class, absent);
            }
        } catch (TestAbortedException | BrokenPromiseError known) {
            throw known;
        } catch (Throwable failure) {
            throw broken(failure, absent, context);
        }
    }

    private static List<Ability> absent(ExtensionContext context) {
        List<Ability> absent = new ArrayList<>();
        Traits traits = subject(context).traits();
        List<NeedsAbility> needs = new ArrayList<>();
        AnnotationSupport.findAnnotation(context.getRequiredTestMethod(), NeedsAbility.class)
                .ifPresent(needs::add);
        for (Class<?> type = context.getRequiredTestClass(); type != null; type = type.getSuperclass()) {
            Optional.ofNullable(type.getAnnotation(NeedsAbility.class)).ifPresent(needs::add);
        }
        for (NeedsAbility need : needs) {
            for (Ability ability : need.value()) {
                if (!traits.has(ability) && !absent.contains(ability)) {
                    absent.add(ability);
                }
            }
        }
        return absent;
    }

    /** What a failure looks like: the promise, the subject, what was seen, the steps, the seed. */
    private static BrokenPromiseError broken(Throwable failure, List<Ability> absent, ExtensionContext context) {
        List<String> by = new ArrayList<>();
        by.add("by " + subject(context));
        for (Ability ability : absent) {
            by.add("which lacks " + ability + ", so that " + ability.consequence());
        }
        Account account = account(context);
        return BrokenPromiseError.of(
                context.getRequiredTestMethod(), by, failure, account == null ? "" : account.lines());
    }

    /** Returns the bench of a test, null where it had none. */
    private static @Nullable Account account(ExtensionContext context) {
        for (Class<? extends Account> type : List.of(Bench.class, VendorBench.class, SiliconBench.class)) {
            Account account = context.getStore(KIT).get(type, type);
            if (account != null) {
                return account;
            }
        }
        return null;
    }

    @Override
    public void afterTestExecution(ExtensionContext context) {
        ConformanceReport.Outcome outcome = context.getExecutionException().isPresent()
                ? ConformanceReport.Outcome.FAILED
                : context.getStore(KIT).get(Ability.class) == null
                        ? ConformanceReport.Outcome.PASSED
                        : ConformanceReport.Outcome.ABSENT;
        List<Ability> absent = outcome == ConformanceReport.Outcome.ABSENT ? absent(context) : List.of();
        if (context.getConfigurationParameter("iommu4j.tck.report.off").isPresent()) {
            return;
        }
        ConformanceReport report = ConformanceReport.of(context, subject(context));
        for (String id : Promises.of(context.getRequiredTestMethod())) {
            report.add(id, outcome, subject(context), context.getDisplayName(), absent);
        }
    }
}
