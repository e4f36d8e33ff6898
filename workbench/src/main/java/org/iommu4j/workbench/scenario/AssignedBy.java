// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

/** The ways in which a VMM has the DMA of its devices translated. */
public enum AssignedBy {
    /** A VFIO container. */
    TYPE1,
    /** An iommufd and the devices' own files; since 6.6. */
    IOMMUFD,
    /** An iommufd that serves as a VFIO container; since 6.2. */
    COMPAT,
    /** A careless user's own domain: nobody asks it to block no-snoop, and KVM is not told. */
    BARE
}
