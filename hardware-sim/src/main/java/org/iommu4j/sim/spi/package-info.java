// SPDX-License-Identifier: Apache-2.0

/**
 * How a vendor's translation unit enters the simulated machine.
 *
 * <p>VT-d and AMD-Vi come in through {@link org.iommu4j.sim.spi.TranslationUnitProvider} as any other vendor's do. A
 * unit sees memory through {@link org.iommu4j.sim.spi.Fabric} only, each access with its own snoop attribute, and
 * answers a request with a packed {@link org.iommu4j.sim.spi.Translation}.
 * {@link org.iommu4j.sim.spi.MachineDescription} says what a machine is made of:
 * {@link org.iommu4j.sim.spi.ProcessorDescription}, {@link org.iommu4j.sim.spi.InterruptWindow}, units, functions and
 * {@link org.iommu4j.sim.spi.PlatformDeviceDescription}s. A request wants what its
 * {@link org.iommu4j.sim.spi.RequestFlags} say, and is known to the unit by a source id
 * ({@link org.iommu4j.sim.spi.SourceIdRange}); memory answers with an {@link org.iommu4j.sim.spi.AccessStatus}. Of a
 * memory image a vendor's {@link org.iommu4j.sim.spi.TableReader} reports the tables to a
 * {@link org.iommu4j.sim.spi.TableVisitor}, within the bounds of a {@link org.iommu4j.sim.spi.TableListing}.
 * {@link org.iommu4j.sim.spi.Epoch} keeps walks and invalidations apart.
 */
package org.iommu4j.sim.spi;
