// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.release;

import java.lang.invoke.MethodHandles.Lookup;
import java.lang.reflect.RecordComponent;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ConcurrentHashMap;
import org.iommu4j.LinuxRelease;
import org.jspecify.annotations.Nullable;

/**
 * Makes the record of a module's rules out of its declared rules: each component gets the value of the rule that has
 * its name.
 *
 * <p>The record is what hot paths read: plain final fields. It is made when a driver is first opened for a release.
 */
public final class RuleRecords {
    /**
     * The records that were made, by their class and release: machines are opened by the million. Kernels with a patch
     * level or a suffix are not kept, since there is no end of them.
     */
    private static final ClassValue<Map<LinuxRelease, Made>> MADE = new ClassValue<>() {
        @Override
        protected Map<LinuxRelease, Made> computeValue(Class<?> type) {
            return new ConcurrentHashMap<>();
        }
    };

    /**
     * A record, and the rules that it was made of.
     *
     * @param rules compared by identity
     * @param values the record
     */
    private record Made(List<?> rules, Record values) {}

    private RuleRecords() {}

    /**
     * Returns the rules of a release.
     *
     * @param lookup the module's own, since the record is the module's own affair
     * @param type the record
     * @param rules one rule for each component
     * @param release a release that is known
     * @throws IllegalArgumentException when a rule has no value in the release
     * @throws IllegalStateException when the names of components and rules differ, or a value has another type than its
     *     component
     */
    @SuppressWarnings("ReferenceEquality") // the same list of rules, not one that equals it rule by rule
    public static <R extends Record> R of(
            Lookup lookup, Class<R> type, List<? extends ReleaseRule<?>> rules, LinuxRelease release) {
        Objects.requireNonNull(lookup, "lookup");
        Objects.requireNonNull(type, "type");
        Objects.requireNonNull(rules, "rules");
        Objects.requireNonNull(release, "release");
        Map<LinuxRelease, Made> records = MADE.get(type);
        @Nullable Made earlier = records.get(release);
        if (earlier != null && earlier.rules() == rules) {
            return type.cast(earlier.values());
        }
        R made = make(lookup, type, rules, release);
        if (LinuxRelease.known().contains(release)) {
            records.put(release, new Made(rules, made));
        }
        return made;
    }

    private static <R extends Record> R make(
            Lookup lookup, Class<R> type, List<? extends ReleaseRule<?>> rules, LinuxRelease release) {
        Map<String, Object> values = new HashMap<>();
        for (ReleaseRule<?> rule : rules) {
            if (values.put(rule.name(), rule.in(release).value()) != null) {
                throw new IllegalStateException("two rules of " + type.getSimpleName() + " are named " + rule.name());
            }
        }
        RecordComponent[] components = type.getRecordComponents();
        Class<?>[] types = new Class<?>[components.length];
        Object[] arguments = new Object[components.length];
        for (int i = 0; i < components.length; i++) {
            @Nullable Object value = values.remove(components[i].getName());
            if (value == null) {
                throw new IllegalStateException(
                        "no rule is named like " + type.getSimpleName() + "." + components[i].getName());
            }
            types[i] = components[i].getType();
            arguments[i] = value;
        }
        if (!values.isEmpty()) {
            throw new IllegalStateException("rules without a component of " + type.getSimpleName() + ": " + values);
        }
        try {
            return type.cast(lookup.unreflectConstructor(type.getDeclaredConstructor(types))
                    .invokeWithArguments(arguments));
        } catch (Throwable e) {
            throw new IllegalStateException("can't make " + type.getSimpleName() + " of its rules", e);
        }
    }
}
