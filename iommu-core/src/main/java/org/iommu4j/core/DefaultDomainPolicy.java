// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.core;

/**
 * What a group's default domain is when no device of the group demands something.
 *
 * <p>Source: {@code iommu.passthrough=} on the kernel's command line.
 */
public enum DefaultDomainPolicy {
    /** The DMA API's page tables, flushed at each unmap. */
    DMA,
    /** Addresses pass as they are, save for devices that are not trusted. */
    PASSTHROUGH
}
