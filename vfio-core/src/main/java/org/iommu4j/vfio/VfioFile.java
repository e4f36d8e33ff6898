// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import java.util.List;
import org.iommu4j.DecisionSource;
import org.iommu4j.IommuException;

/**
 * A VFIO file as KVM sees it: KVM asks it one question, and keeps it from ending.
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

    /**
     * Returns where Linux decides what {@link #enforcedCoherent} answers: the file's own part first, then what it asks.
     * Empty where the file does not say.
     */
    default List<DecisionSource> coherencySources() {
        return List.of();
    }

    /**
     * Returns whether it is a group's file; until 6.5 KVM takes no other. Source: {@code vfio_file_is_valid}.
     */
    default boolean isGroup() {
        return true;
    }

    /**
     * Refuses a user outside of VFIO, which KVM is, where the file has to be further on for one. By default every user
     * is taken. Source: until 5.18 {@code vfio_group_get_external_user}.
     *
     * @throws IommuException EINVAL (it is in no container with an IOMMU, or not viable), EPERM (it has no IOMMU)
     */
    default void checkExternalUser() {}

    /**
     * Takes a reference: the file ends when its user closed it and all references are dropped. Source: {@code fget}.
     *
     * <p>A file that nobody can close need not count.
     *
     * @throws IommuException EBADF (its user closed it)
     */
    default void hold() {}

    /**
     * Drops a reference. The last one ends a file that its user closed. Source: {@code fput}.
     *
     * @throws IommuException as the user's close; the file has ended nevertheless
     */
    default void drop() {}
}
