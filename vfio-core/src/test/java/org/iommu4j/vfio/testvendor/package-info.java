// SPDX-License-Identifier: Apache-2.0

/**
 * A small IOMMU driver without hardware, whose every answer a test can choose, and a process with real frames.
 *
 * <p>It keeps the contract of {@link org.iommu4j.IommuDomain} in memory and takes a frame for each domain and each 2
 * MiB that hold mappings, so that failure injection reaches it.
 */
package org.iommu4j.vfio.testvendor;
