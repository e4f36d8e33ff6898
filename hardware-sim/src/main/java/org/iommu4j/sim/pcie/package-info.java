// SPDX-License-Identifier: Apache-2.0

/**
 * PCI Express: configuration space, requests with their attributes, endpoints, what they keep of translations (ATS) and which
 * pages they wait for (PRI).
 *
 * <p>Models the transaction layer's memory requests with requester id, PASID, no-snoop and relaxed ordering. Not modelled:
 * links, credits, completions as packets of their own, stop markers, page requests for execution or with privilege,
 * peer-to-peer requests.
 */
package org.iommu4j.sim.pcie;
