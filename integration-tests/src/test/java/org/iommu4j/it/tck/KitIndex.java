// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.iommu4j.tck.Promise;
import org.junit.jupiter.api.Nested;
import org.junit.platform.engine.DiscoverySelector;
import org.junit.platform.engine.discovery.DiscoverySelectors;

/** Which tests of conformance classes check which promise. */
final class KitIndex {
    private final Map<String, List<DiscoverySelector>> tests = new LinkedHashMap<>();

    /** Reads conformance classes with their nested classes. */
    KitIndex(Class<?>... conformances) {
        for (Class<?> conformance : conformances) {
            add(List.of(), conformance);
            for (Class<?> type = conformance; type != null; type = type.getSuperclass()) {
                for (Class<?> nested : type.getDeclaredClasses()) {
                    if (nested.isAnnotationPresent(Nested.class)) {
                        add(List.of(conformance), nested);
                    }
                }
            }
        }
    }

    private void add(List<Class<?>> enclosing, Class<?> type) {
        for (Class<?> at = type; at != null && at != Object.class; at = at.getSuperclass()) {
            for (Method method : at.getDeclaredMethods()) {
                Promise promise = method.getAnnotation(Promise.class);
                if (promise == null) {
                    continue;
                }
                DiscoverySelector selector = enclosing.isEmpty()
                        ? DiscoverySelectors.selectMethod(type, method)
                        : DiscoverySelectors.selectNestedMethod(enclosing, type, method);
                for (String id : promise.value()) {
                    tests.computeIfAbsent(id, ignored -> new ArrayList<>()).add(selector);
                }
            }
        }
    }

    /** Returns the tests of a promise, empty when there are none. */
    List<DiscoverySelector> tests(String promise) {
        return tests.getOrDefault(promise, List.of());
    }

    /** Returns the promises that some test checks. */
    List<String> promises() {
        return List.copyOf(tests.keySet());
    }
}
