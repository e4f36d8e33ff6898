// SPDX-License-Identifier: Apache-2.0

/**
 * What holds for every public method and constructor of the library, found by reflection.
 *
 * <p>{@link org.iommu4j.it.contract.PublicApi} lists them, {@link org.iommu4j.it.contract.Samples} has objects to call
 * them on and values to call them with. Not looked at: the workbench, which is a command and no library.
 */
package org.iommu4j.it.contract;
