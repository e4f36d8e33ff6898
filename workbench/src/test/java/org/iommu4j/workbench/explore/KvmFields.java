// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.explore;

import java.lang.reflect.Array;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.util.BitSet;
import java.util.IdentityHashMap;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.iommu4j.platform.Processor;

/**
 * All fields of KVM's objects as text, by reflection, so that a field which is added later is looked at as well.
 *
 * <p>Left out, since no later step depends on it: what only counts, the VMM's memory, and the CPU of an earlier WBINVD.
 */
final class KvmFields {
    private static final Set<String> LEFT_OUT = Set.of(
            "registrations", "wbinvdExecuted", "wbinvdIgnored", "process", "flushedOn", "freshType", "byId", "files");

    private final StringBuilder text = new StringBuilder();
    private final IdentityHashMap<Object, Integer> seen = new IdentityHashMap<>();

    private KvmFields() {}

    static String of(Object object) {
        KvmFields fields = new KvmFields();
        fields.add(object);
        return fields.text.toString();
    }

    private void add(Object value) {
        if (value == null
                || (value instanceof Number && !(value instanceof AtomicInteger) && !(value instanceof AtomicLong))
                || value instanceof Boolean
                || value instanceof String
                || value instanceof Enum
                || value instanceof BitSet
                || value instanceof Record) {
            text.append(value).append(' ');
        } else if (value instanceof AtomicInteger || value instanceof AtomicLong) {
            text.append(value).append(' ');
        } else if (value instanceof Processor processor) {
            text.append("cpu").append(processor.id()).append(' ');
        } else if (seen.putIfAbsent(value, seen.size()) != null) {
            text.append('#').append(seen.get(value)).append(' ');
        } else if (value.getClass().isArray()) {
            for (int i = 0; i < Array.getLength(value); i++) {
                add(Array.get(value, i));
            }
        } else if (value instanceof Iterable<?> several) {
            several.forEach(this::add);
        } else if (value.getClass().getPackageName().equals("org.iommu4j.kvm")) {
            addFields(value);
        } else {
            throw new IllegalStateException("what of " + value.getClass() + " makes a difference?");
        }
    }

    private void addFields(Object value) {
        for (Class<?> type = value.getClass(); type != Object.class; type = type.getSuperclass()) {
            for (Field field : type.getDeclaredFields()) {
                if (!Modifier.isStatic(field.getModifiers()) && !LEFT_OUT.contains(field.getName())) {
                    field.setAccessible(true);
                    try {
                        text.append(field.getName()).append('=');
                        add(field.get(value));
                    } catch (IllegalAccessException e) {
                        throw new IllegalStateException(e);
                    }
                }
            }
        }
    }
}
