// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import org.iommu4j.IommuException;
import org.jspecify.annotations.Nullable;

/**
 * How far an array of invalidations was done.
 *
 * @param done how many were
 * @param failure why the next one was not, null when all were
 */
public record Invalidated(int done, @Nullable IommuException failure) {}
