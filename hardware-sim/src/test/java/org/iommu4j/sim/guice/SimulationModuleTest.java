// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.guice;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.inject.AbstractModule;
import com.google.inject.Guice;
import com.google.inject.Injector;
import com.google.inject.multibindings.MapBinder;
import com.google.inject.multibindings.OptionalBinder;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.platform.Processor;
import org.iommu4j.sim.cache.EvictionPolicy;
import org.iommu4j.sim.cache.Mesi;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.machine.OffsetUnitProvider;
import org.iommu4j.sim.spi.TranslationUnitProvider;
import org.junit.jupiter.api.Test;

class SimulationModuleTest {
    @Test
    void theFactoryIsBoundOnceWithAllProvidersAndTheApplicationsPolicy() {
        Injector injector = Guice.createInjector(new SimulationModule(), new AbstractModule() {
            @Override
            protected void configure() {
                MapBinder.newMapBinder(binder(), String.class, TranslationUnitProvider.class)
                        .addBinding("offset")
                        .toInstance(new OffsetUnitProvider());
                OptionalBinder.newOptionalBinder(binder(), EvictionPolicy.class)
                        .setBinding()
                        .toInstance(EvictionPolicy.MOST_RECENTLY_USED);
            }
        });
        MachineFactory factory = injector.getInstance(MachineFactory.class);
        assertThat(injector.getInstance(MachineFactory.class)).isSameAs(factory);
        Machine machine = factory.create(factory.named("offset-litmus"));
        Processor cpu = machine.processors().get(0);
        for (long line = 0; line < 0x180; line += 0x80) {
            cpu.load(line, MemoryType.WB);
        }
        assertThat(machine.caches().orElseThrow().state(0, 0)).isEqualTo(Mesi.EXCLUSIVE);
        assertThat(machine.caches().orElseThrow().state(0, 0x80)).isEqualTo(Mesi.INVALID);
    }
}
