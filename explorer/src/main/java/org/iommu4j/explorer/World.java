// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer;

import java.util.Objects;

/** What is to be explored, in a form that can go to another machine: a factory's class and its input. */
public final class World {
    private final Class<? extends WorldFactory> factory;
    private final byte[] input;

    /**
     * Names a world.
     *
     * @param factory a class with a public constructor without parameters
     * @param input what its systems are made from; copied
     */
    public World(Class<? extends WorldFactory> factory, byte[] input) {
        this.factory = Objects.requireNonNull(factory);
        this.input = input.clone();
    }

    /**
     * Returns the world with a factory of that name.
     *
     * @param factory the name of a class, as {@link #factory} gives it
     * @param input what its systems are made from; copied
     * @param loader has the class
     * @throws IllegalArgumentException if it has not, or if the class is no factory
     */
    public static World named(String factory, byte[] input, ClassLoader loader) {
        Objects.requireNonNull(factory);
        Objects.requireNonNull(input);
        Objects.requireNonNull(loader);
        try {
            return new World(Class.forName(factory, true, loader).asSubclass(WorldFactory.class), input);
        } catch (ClassNotFoundException | ClassCastException e) {
            throw new IllegalArgumentException("no factory of worlds: " + factory, e);
        }
    }

    /** Returns the name of the factory's class. */
    public String factory() {
        return factory.getName();
    }

    /** Returns a copy of what its systems are made from. */
    public byte[] input() {
        return input.clone();
    }

    /**
     * Makes the factory, of which a process needs one.
     *
     * @throws IllegalArgumentException if its class cannot be instantiated from here
     */
    public WorldFactory newFactory() {
        try {
            return factory.getConstructor().newInstance();
        } catch (ReflectiveOperationException e) {
            throw new IllegalArgumentException("cannot make a factory: " + factory.getName(), e);
        }
    }
}
