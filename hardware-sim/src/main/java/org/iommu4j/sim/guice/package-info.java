// SPDX-License-Identifier: Apache-2.0

/**
 * How an application that uses Guice binds the silicon; the only package here that knows Guice.
 *
 * <p>An injector is made once in an application's life. Machines are built by {@link
 * org.iommu4j.sim.machine.MachineFactory} without one.
 */
package org.iommu4j.sim.guice;
