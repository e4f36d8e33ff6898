// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

/**
 * A file of VFIO's, as KVM sees it: the one question that KVM has.
 *
 * <p>Two files are the same if and only if they are the same object. Source: {@code vfio_file_enforced_coherent}.
 */
@FunctionalInterface
public interface VfioFile {
    /**
     * Returns whether no device behind the file can send no-snoop past the IOMMU.
     *
     * <p>The answer holds when it is given; nobody is told when it changes.
     */
    boolean enforcedCoherent();
}
