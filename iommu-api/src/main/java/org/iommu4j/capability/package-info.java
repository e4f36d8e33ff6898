// SPDX-License-Identifier: Apache-2.0

/**
 * Optional abilities of a domain, and of a device ({@link org.iommu4j.capability.PageRequests}), one small interface
 * each.
 *
 * <p>Its owner has one accessor per ability that returns an {@link java.util.Optional}: absence is a state of its own,
 * as a null op is in Linux.
 *
 * <p>{@link org.iommu4j.capability.GuestTable} and {@link org.iommu4j.capability.GuestInvalidationRequest} are what a
 * guest passes to its IOMMU. Each vendor has its own records of them.
 */
package org.iommu4j.capability;
