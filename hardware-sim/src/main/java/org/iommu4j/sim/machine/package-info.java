// SPDX-License-Identifier: Apache-2.0

/**
 * Machines: what one is made of, how it is built, and the adapters through which drivers and guests use it.
 *
 * <p>A machine is a function of its {@link org.iommu4j.sim.spi.MachineDescription} and of the order of events: there
 * is no wall clock, no random source and no background thread in it.
 *
 * <p>Start at {@link org.iommu4j.sim.machine.MachineFactory} and {@link org.iommu4j.sim.machine.Machine}; {@code
 * UnitFabric} is a unit's way to memory, {@code UnitRegisters} a driver's way to a unit.
 */
package org.iommu4j.sim.machine;
