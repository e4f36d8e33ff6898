// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.guice;

import com.google.inject.AbstractModule;
import com.google.inject.Provides;
import com.google.inject.Singleton;
import com.google.inject.multibindings.MapBinder;
import com.google.inject.multibindings.OptionalBinder;
import java.util.Map;
import org.iommu4j.sim.cache.EvictionPolicy;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.spi.TranslationUnitProvider;

/**
 * Binds {@link MachineFactory} with the translation-unit providers that {@link java.util.ServiceLoader} finds.
 *
 * <p>An application adds providers to the map binder of {@code String} (their name) to {@link TranslationUnitProvider},
 * and replaces the {@link EvictionPolicy} through its optional binder.
 */
@SuppressWarnings("exports") // Guice's types: the module that uses this class requires com.google.guice itself.
public final class SimulationModule extends AbstractModule {
    /** Makes the module. */
    public SimulationModule() {}

    @Override
    protected void configure() {
        MapBinder<String, TranslationUnitProvider> providers =
                MapBinder.newMapBinder(binder(), String.class, TranslationUnitProvider.class);
        for (TranslationUnitProvider provider : MachineFactory.load().providers()) {
            providers.addBinding(provider.name()).toInstance(provider);
        }
        OptionalBinder.newOptionalBinder(binder(), EvictionPolicy.class)
                .setDefault()
                .toInstance(EvictionPolicy.LEAST_RECENTLY_USED);
    }

    @Provides
    @Singleton
    MachineFactory machineFactory(Map<String, TranslationUnitProvider> providers, EvictionPolicy evictionPolicy) {
        return new MachineFactory(providers.values(), evictionPolicy);
    }
}
