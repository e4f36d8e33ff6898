// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.machine;

import java.util.Collection;
import java.util.List;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.TranslationUnitProvider;

/** Builds machines. */
public final class MachineFactory {
    /** Makes a factory of the providers that ServiceLoader finds. */
    @SuppressWarnings({"all", "MissingOverride", "DoNotCallSuggester", "InlineMeSuggester"})
    public static MachineFactory load() {
        throw new UnsupportedOperationException("skeleton");
    }

    /** Makes a factory of given providers. */
    @SuppressWarnings({"all", "MissingOverride", "DoNotCallSuggester", "InlineMeSuggester"})
    public MachineFactory(Collection<TranslationUnitProvider> providers) {
        throw new UnsupportedOperationException("skeleton");
    }

    /** Returns the built-in machines of all providers. */
    @SuppressWarnings({"all", "MissingOverride", "DoNotCallSuggester", "InlineMeSuggester"})
    public List<MachineDescription> builtIn() {
        throw new UnsupportedOperationException("skeleton");
    }

    /** Returns the providers. */
    @SuppressWarnings({"all", "MissingOverride", "DoNotCallSuggester", "InlineMeSuggester"})
    public List<TranslationUnitProvider> providers() {
        throw new UnsupportedOperationException("skeleton");
    }

    /** Finds a built-in machine. */
    @SuppressWarnings({"all", "MissingOverride", "DoNotCallSuggester", "InlineMeSuggester"})
    public MachineDescription named(String name) {
        throw new UnsupportedOperationException("skeleton");
    }

    /** Builds a machine with caches, for one thread. */
    @SuppressWarnings({"all", "MissingOverride", "DoNotCallSuggester", "InlineMeSuggester"})
    public Machine create(MachineDescription description) {
        throw new UnsupportedOperationException("skeleton");
    }

    /** Builds a machine without caches, thread-safe. */
    @SuppressWarnings({"all", "MissingOverride", "DoNotCallSuggester", "InlineMeSuggester"})
    public Machine createFlat(MachineDescription description) {
        throw new UnsupportedOperationException("skeleton");
    }
}
