// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.contract;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.reflect.AnnotatedType;
import java.lang.reflect.Constructor;
import java.lang.reflect.Executable;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/**
 * A null where none is allowed is refused at once: {@link NullPointerException}, and nothing has changed.
 *
 * <p>Every parameter that is no primitive and not {@link Nullable} gets a null, while all others get what they may
 * have.
 */
class NullArgumentsTest {
    private static final Samples SAMPLES = new Samples();

    @TestFactory
    Stream<DynamicTest> noNullIsTaken() {
        return PublicApi.taking().stream()
                .map(executable ->
                        DynamicTest.dynamicTest(executable.toGenericString(), () -> refusesNulls(executable)));
    }

    @Test
    void thereAreManySuchCalls() {
        assertThat(PublicApi.taking()).hasSizeGreaterThan(200);
    }

    private static void refusesNulls(Executable executable) throws ReflectiveOperationException {
        List<Integer> parameters = notNullable(executable);
        List<?> targets = isStatic(executable) ? List.of("no object") : SAMPLES.of(executable.getDeclaringClass());
        assertThat(targets)
                .as("samples of %s to call", executable.getDeclaringClass())
                .isNotEmpty();
        for (Object target : targets) {
            for (int parameter : parameters) {
                refusesNull(executable, target, parameter);
            }
        }
    }

    private static void refusesNull(Executable executable, Object target, int parameter)
            throws ReflectiveOperationException {
        Class<?>[] types = executable.getParameterTypes();
        @Nullable Object[] arguments = new @Nullable Object[types.length];
        for (int i = 0; i < types.length; i++) {
            arguments[i] = i == parameter ? null : SAMPLES.argument(executable, i);
        }
        String what = "null for parameter " + parameter + " of " + executable + " on " + target.getClass();
        List<Object> before = SAMPLES.state();
        Throwable thrown = null;
        try {
            call(executable, target, arguments);
        } catch (InvocationTargetException e) {
            thrown = e.getCause();
        }
        assertThat(thrown).as(what).isInstanceOf(NullPointerException.class);
        assertThat(SAMPLES.state()).as("state after " + what).isEqualTo(before);
    }

    private static void call(Executable executable, Object target, @Nullable Object[] arguments)
            throws ReflectiveOperationException {
        if (executable instanceof Constructor<?> constructor) {
            constructor.newInstance(arguments);
        } else {
            ((Method) executable).invoke(target, arguments);
        }
    }

    private static boolean isStatic(Executable executable) {
        return executable instanceof Constructor || Modifier.isStatic(executable.getModifiers());
    }

    private static List<Integer> notNullable(Executable executable) {
        AnnotatedType[] types = executable.getAnnotatedParameterTypes();
        List<Integer> found = new ArrayList<>();
        for (int i = 0; i < types.length; i++) {
            if (!executable.getParameterTypes()[i].isPrimitive() && !types[i].isAnnotationPresent(Nullable.class)) {
                found.add(i);
            }
        }
        return found;
    }
}
