// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;

/**
 * The facts that inputs state about one subject: the host, a function, a unit or a group. The order in which inputs are
 * read makes no difference.
 *
 * <p>Where two inputs differ, the one of the higher {@link Rank} takes precedence, with a warning. Two of one rank that
 * differ leave the fact unknown, until an input of a higher rank decides it. Not thread-safe.
 */
final class Facts {
    /** The value that the inputs of the highest rank state. */
    private static final class Known {
        private final Object value;
        private final Source source;
        /** The other values that inputs of the same rank state, with the names of these inputs. */
        private final Map<Object, String> otherwise = new LinkedHashMap<>(0);

        private Known(Object value, Source source) {
            this.value = value;
            this.source = source;
        }
    }

    private final UnaryOperator<String> naming;
    private final Consumer<Supplier<String>> warnings;
    private final Map<Key<?>, Known> known = new HashMap<>();

    /**
     * Makes an empty one.
     *
     * @param naming puts the subject to the words of a key
     * @param warnings receives a line where an input takes precedence over another
     */
    Facts(UnaryOperator<String> naming, Consumer<Supplier<String>> warnings) {
        this.naming = naming;
        this.warnings = warnings;
    }

    /** Records a value that an input states. */
    <T> void record(Key<T> key, T value, Source source) {
        Known earlier = known.get(key);
        if (earlier == null) {
            known.put(key, new Known(value, source));
            return;
        }
        int order = source.rank().compareTo(earlier.source.rank());
        if (order < 0) {
            known.put(key, new Known(value, source));
        }
        if (value.equals(earlier.value) || !key.mustAgree()) {
            return;
        }
        if (order == 0) {
            earlier.otherwise.putIfAbsent(value, source.name());
        } else if (order < 0) {
            warnings.accept(() -> precedence(key, value, source, earlier.value, earlier.source));
        } else if (earlier.otherwise.isEmpty()) {
            warnings.accept(() -> precedence(key, earlier.value, earlier.source, value, source));
        }
    }

    private String precedence(Key<?> key, Object value, Source source, Object other, Source of) {
        return naming.apply(key.words()) + " is " + shown(key, value) + " in " + source
                + ", which takes precedence over " + shown(key, other) + " in " + of;
    }

    private static <T> String shown(Key<T> key, Object value) {
        return key.shown().apply(key.type().cast(value));
    }

    /** Finds a fact; it is unknown also where inputs of one rank contradict each other. */
    <T> Optional<Fact<T>> find(Key<T> key) {
        Known found = known.get(key);
        return found == null || !found.otherwise.isEmpty()
                ? Optional.empty()
                : Optional.of(new Fact<>(key.type().cast(found.value), found.source.name()));
    }

    /** Finds the value of a fact. */
    <T> Optional<T> value(Key<T> key) {
        return find(key).map(Fact::value);
    }

    /** Returns the input of the highest rank that states it, whether or not another contradicts. */
    Optional<Source> source(Key<?> key) {
        return Optional.ofNullable(known.get(key)).map(found -> found.source);
    }

    /** Returns the values on which inputs of one rank contradict each other; empty when they agree. */
    <T> List<T> contradicted(Key<T> key) {
        Known found = known.get(key);
        if (found == null || found.otherwise.isEmpty()) {
            return List.of();
        }
        List<T> values = new ArrayList<>();
        values.add(key.type().cast(found.value));
        found.otherwise.keySet().forEach(value -> values.add(key.type().cast(value)));
        return values;
    }

    /** Returns the facts of a type by the words of their keys. */
    <T> SortedMap<String, Fact<T>> all(Class<T> type) {
        SortedMap<String, Fact<T>> all = new TreeMap<>();
        known.forEach((key, found) -> {
            if (key.type() == type && found.otherwise.isEmpty()) {
                all.put(key.words(), new Fact<>(type.cast(found.value), found.source.name()));
            }
        });
        return all;
    }

    /** Reports the contradictions between inputs, one line each. */
    void contradictions(Consumer<Contradiction> lines) {
        known.forEach((key, found) -> {
            if (!found.otherwise.isEmpty()) {
                Map.Entry<Object, String> other =
                        found.otherwise.entrySet().iterator().next();
                lines.accept(new Contradiction(
                        key.words(),
                        naming.apply(key.words()) + " is " + shown(key, found.value) + " in " + found.source + " and "
                                + shown(key, other.getKey()) + " in " + other.getValue() + ": treated as unknown"));
            }
        });
    }

    /**
     * A contradiction between inputs of one rank.
     *
     * @param key the words of its key
     * @param line for people
     */
    record Contradiction(String key, String line) {}
}
