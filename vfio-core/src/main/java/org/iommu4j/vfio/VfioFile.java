// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

/**
 * A VFIO file as KVM sees it: KVM asks it one question.
 *
 * <p>Two files are the same if and only if they are the same object. Source: {@code vfio_file_enforced_coherent}.
 */
@FunctionalInterface
public interface VfioFile {
    /**
     * Returns whether no device behind the file can send no-snoop past the IOMMU.
     *
     * <p>The answer is valid when it is given; a later change is not reported.
     */
    boolean enforcedCoherent();
}
