// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.core;

/**
 * The default domain of a group in which no device demands a certain one.
 *
 * <p>Source: {@code iommu.passthrough=} on the kernel's command line.
 */
public enum DefaultDomainPolicy {
    /** The DMA API's page tables, flushed at each unmap. */
    DMA,
    /** Addresses pass unchanged, except for devices that are not trusted. */
    PASSTHROUGH
}
