// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer.spark;

import java.io.Serializable;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import org.iommu4j.explorer.TransitionSystem;
import org.iommu4j.explorer.World;
import org.iommu4j.explorer.WorldFactory;

/**
 * The systems of one exploration. It travels by the world's name. Each process has one factory, and each of its threads
 * keeps the systems that it does not use now: opening one can take longer than a task, and it belongs to its thread.
 */
final class Worlds implements Serializable {
    private static final long serialVersionUID = 1;

    private static final ConcurrentMap<UUID, Opened> OPENED = new ConcurrentHashMap<>();

    private final UUID exploration = UUID.randomUUID();
    private final String factory;
    private final byte[] input;

    private record Opened(WorldFactory factory, ThreadLocal<Deque<TransitionSystem>> idle) {}

    Worlds(World world) {
        factory = world.factory();
        input = world.input();
    }

    /** Returns a system in any state, which is the caller's until it gives it back, in the same thread. */
    TransitionSystem take() {
        Opened opened = opened();
        TransitionSystem idle = opened.idle.get().poll();
        return idle != null ? idle : opened.factory.open(input);
    }

    void giveBack(TransitionSystem system) {
        opened().idle.get().add(system);
    }

    /** Lets this process forget the systems. */
    void forget() {
        OPENED.remove(exploration);
    }

    private Opened opened() {
        return OPENED.computeIfAbsent(exploration, key -> {
            ClassLoader loader = Thread.currentThread().getContextClassLoader();
            World world = World.named(factory, input, loader != null ? loader : Worlds.class.getClassLoader());
            return new Opened(world.newFactory(), ThreadLocal.withInitial(ArrayDeque::new));
        });
    }
}
