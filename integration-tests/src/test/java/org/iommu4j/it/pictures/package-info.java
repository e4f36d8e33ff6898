// SPDX-License-Identifier: Apache-2.0

/**
 * The pictures in {@code docs/pictures}, drawn from the house as it is.
 *
 * <p>Start at {@link org.iommu4j.it.pictures.PicturesTest}: it draws each picture and compares it with the file.
 * Modules come from the poms, the cache protocol from the rows that {@code CacheHierarchyTest} holds, and every class
 * named in a picture must exist. {@code -Diommu4j.pictures.write=true} writes the files anew.
 */
package org.iommu4j.it.pictures;
