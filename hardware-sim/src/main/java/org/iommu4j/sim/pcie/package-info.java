// SPDX-License-Identifier: Apache-2.0

/**
 * PCI Express: configuration space, requests with their attributes, endpoints, their cached translations (ATS) and
 * their page requests (PRI).
 *
 * <h2>Source</h2>
 *
 * <p>The PCI Express Base Specification: the transaction layer, and the ATS, PASID and Page Request capabilities.
 *
 * <h2>Reading order</h2>
 *
 * <ul>
 *   <li>{@link org.iommu4j.sim.pcie.Endpoint}: a device that runs a {@link org.iommu4j.sim.pcie.DmaProgram}.
 *   <li>{@link org.iommu4j.sim.pcie.Tlp} and {@link org.iommu4j.sim.pcie.RootComplex}: a request, and its path to a
 *       unit.
 *   <li>{@link org.iommu4j.sim.pcie.PlatformMaster}: a device that is not on PCI, whose requests go the same way.
 *   <li>{@link org.iommu4j.sim.pcie.FunctionConfig}: configuration space, and the rights that it gives a function.
 *   <li>{@link org.iommu4j.sim.pcie.AddressTranslationCache} and {@link org.iommu4j.sim.pcie.PageRequestInterface}: ATS
 *       and PRI.
 * </ul>
 *
 * <h2>Modelled</h2>
 *
 * <p>Memory requests with requester id, PASID, no-snoop and relaxed ordering; those of platform devices with
 * the rights to execute and of a supervisor.
 *
 * <h2>Not modelled</h2>
 *
 * <p>Links, credits, completions as separate packets, stop markers, requests and page requests of functions for
 * execution or with privilege, peer-to-peer requests.
 */
package org.iommu4j.sim.pcie;
