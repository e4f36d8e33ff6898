// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.capability;

/**
 * What a guest wants hardware to forget of its tables, in the words of its vendor: a record that the vendor's module
 * exports.
 *
 * <p>A consumer passes it on and does not look into it. Source: {@code enum iommu_hwpt_invalidate_data_type}, and the
 * structure of each type.
 */
public interface GuestInvalidationRequest {}
