// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench;

import com.google.inject.AbstractModule;
import com.google.inject.Provides;
import com.google.inject.Singleton;
import com.google.inject.multibindings.MapBinder;
import java.util.Map;
import org.iommu4j.sim.guice.SimulationModule;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.spi.TranslationUnitProvider;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.workbench.page.PageCase;
import org.iommu4j.workbench.page.Pages;
import org.iommu4j.workbench.scenario.Case;
import org.iommu4j.workbench.scenario.CaseRunner;

/**
 * Binds the application: the vendors and the silicon that are on the path, and the built-in cases.
 *
 * <p>A new case, a page or a Java class, is bound by its name into the same map.
 */
public final class WorkbenchModule extends AbstractModule {
    /** Makes the module. */
    public WorkbenchModule() {}

    @Override
    protected void configure() {
        binder().requireExplicitBindings();
        install(new SimulationModule());
        MapBinder<String, IommuVendor> vendors = MapBinder.newMapBinder(binder(), String.class, IommuVendor.class);
        IommuVendors.load()
                .all()
                .forEach(vendor -> vendors.addBinding(vendor.name()).toInstance(vendor));
        MapBinder<String, Case> cases = MapBinder.newMapBinder(binder(), String.class, Case.class);
        Pages.builtIn().forEach(page -> bind(cases, new PageCase(page)));
    }

    @Provides
    @Singleton
    IommuVendors vendors(Map<String, IommuVendor> vendors) {
        return IommuVendors.of(vendors.values());
    }

    @Provides
    @Singleton
    CaseRunner caseRunner(MachineFactory machines, IommuVendors vendors) {
        return new CaseRunner(machines, vendors);
    }

    @Provides
    @Singleton
    Workbench workbench(
            Map<String, Case> cases,
            MachineFactory machines,
            Map<String, TranslationUnitProvider> silicon,
            IommuVendors vendors,
            CaseRunner runner) {
        return new Workbench(cases, machines, silicon.values(), vendors, runner);
    }

    private static void bind(MapBinder<String, Case> cases, Case story) {
        cases.addBinding(story.name()).toInstance(story);
    }
}
