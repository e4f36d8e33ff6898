// SPDX-License-Identifier: Apache-2.0

/**
 * Bindings of the silicon for applications that use Guice; only this package depends on Guice.
 *
 * <p>The dependency is optional: an application that installs {@link org.iommu4j.sim.guice.SimulationModule} names
 * Guice among its own dependencies, and requires {@code com.google.guice} in its module. All others get no Guice.
 *
 * <p>An application makes one injector. {@link org.iommu4j.sim.machine.MachineFactory} builds machines without one.
 */
package org.iommu4j.sim.guice;
