// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import java.lang.reflect.Method;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.DisplayNameGenerator;

/** Names tests by their methods' words and the promises' ids: {@code a read only page cant be written [map-5]}. */
public final class PromiseNames extends DisplayNameGenerator.Standard {
    /** Made by JUnit. */
    public PromiseNames() {}

    @Override
    public String generateDisplayNameForMethod(
            List<Class<?>> enclosingInstanceTypes, Class<?> testClass, Method testMethod) {
        String words =
                testMethod.getName().replaceAll("(?<=[a-z0-9])(?=[A-Z])", " ").toLowerCase(Locale.ROOT);
        List<String> promises = Promises.of(testMethod);
        return promises.isEmpty() ? words : words + " [" + String.join(", ", promises) + "]";
    }

    @Override
    public String generateDisplayNameForNestedClass(List<Class<?>> enclosingInstanceTypes, Class<?> nestedClass) {
        return nestedClass
                .getSimpleName()
                .replaceAll("(?<=[a-z0-9])(?=[A-Z])", " ")
                .toLowerCase(Locale.ROOT);
    }
}
