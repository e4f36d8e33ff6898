// SPDX-License-Identifier: Apache-2.0

/**
 * Machines: their parts, how they are built, and the adapters through which drivers and guests use them.
 *
 * <p>A machine depends only on its {@link org.iommu4j.sim.spi.MachineDescription} and on the order of events: it has no
 * wall clock, no random source and no background thread.
 *
 * <p>Start at {@link org.iommu4j.sim.machine.MachineFactory} and {@link org.iommu4j.sim.machine.Machine}; {@code
 * UnitFabric} is a unit's way to memory, {@code UnitRegisters} a driver's way to a unit.
 */
package org.iommu4j.sim.machine;
