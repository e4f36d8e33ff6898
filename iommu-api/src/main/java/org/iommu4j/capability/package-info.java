// SPDX-License-Identifier: Apache-2.0

/**
 * Optional abilities of a domain, and of a device ({@link org.iommu4j.capability.PageRequests}), one small interface
 * each.
 *
 * <p>Its owner has one accessor per ability that returns an {@link java.util.Optional}: absence is a state of its own,
 * as a null op is in Linux.
 */
package org.iommu4j.capability;
