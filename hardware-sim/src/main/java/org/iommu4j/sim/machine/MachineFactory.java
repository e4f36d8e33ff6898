// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.machine;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.ServiceLoader;
import java.util.TreeMap;
import org.iommu4j.sim.cache.EvictionPolicy;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.TranslationUnitProvider;
import org.iommu4j.sim.trace.Trace;

/**
 * Builds machines from descriptions, with the translation units of its providers.
 *
 * <p>Thread-safe; the machines it builds share nothing.
 */
public final class MachineFactory {
    /** Providers by name, in the order of names. */
    private final Map<String, TranslationUnitProvider> providers = new TreeMap<>();

    private final EvictionPolicy evictionPolicy;

    /**
     * Makes a factory whose caches evict the least recently used line.
     *
     * @throws IllegalArgumentException when two providers have one name
     */
    public MachineFactory(Collection<TranslationUnitProvider> providers) {
        this(providers, EvictionPolicy.LEAST_RECENTLY_USED);
    }

    /**
     * Makes a factory.
     *
     * @param evictionPolicy chooses the line that leaves a full set, in all caches
     * @throws IllegalArgumentException when two providers have one name
     */
    public MachineFactory(Collection<TranslationUnitProvider> providers, EvictionPolicy evictionPolicy) {
        Objects.requireNonNull(providers, "providers");
        Objects.requireNonNull(evictionPolicy, "evictionPolicy");
        for (TranslationUnitProvider provider : providers) {
            if (this.providers.put(provider.name(), provider) != null) {
                throw new IllegalArgumentException(
                        "two providers of translation units have the name '" + provider.name() + "'");
            }
        }
        this.evictionPolicy = evictionPolicy;
    }

    /** Makes a factory with all providers that {@link ServiceLoader} finds. */
    public static MachineFactory load() {
        List<TranslationUnitProvider> found = new ArrayList<>();
        ServiceLoader.load(TranslationUnitProvider.class).forEach(found::add);
        return new MachineFactory(found);
    }

    /** Returns the providers in the order of their names. */
    public List<TranslationUnitProvider> providers() {
        return List.copyOf(providers.values());
    }

    /** Returns the built-in machines of all providers. */
    public List<MachineDescription> builtIn() {
        List<MachineDescription> machines = new ArrayList<>();
        for (TranslationUnitProvider provider : providers.values()) {
            machines.addAll(provider.machines());
        }
        return machines;
    }

    /**
     * Finds a built-in machine.
     *
     * @throws IllegalArgumentException when there is none of that name; the message lists the known names
     */
    public MachineDescription named(String name) {
        Objects.requireNonNull(name, "name");
        List<String> known = new ArrayList<>();
        for (MachineDescription machine : builtIn()) {
            if (machine.name().equals(name)) {
                return machine;
            }
            known.add(machine.name());
        }
        throw new IllegalArgumentException("no machine '" + name + "'; known: " + String.join(", ", known));
    }

    /**
     * Builds a machine with caches, which belongs to one thread at a time.
     *
     * @throws IllegalArgumentException when a unit's provider is unknown or refuses its registers, when a function
     *     names a unit or a bridge that does not exist, or when the memory is too small or too large
     */
    public Machine create(MachineDescription description) {
        Objects.requireNonNull(description, "description");
        Trace trace = new Trace();
        return new Machine(description, new CachedBacking(description, evictionPolicy, trace), providers, trace);
    }

    /**
     * Builds a machine without caches, which any thread may use: every access is coherent. Its trace must stay off
     * while there is more than one thread.
     *
     * @throws IllegalArgumentException as {@link #create}
     */
    public Machine createFlat(MachineDescription description) {
        Objects.requireNonNull(description, "description");
        return new Machine(description, new FlatBacking(description), providers, new Trace());
    }
}
