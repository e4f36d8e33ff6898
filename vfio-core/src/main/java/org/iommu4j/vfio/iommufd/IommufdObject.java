// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

/**
 * An object of an open iommufd, with a number and a count of its users.
 *
 * <p>Number and count are guarded by the object table. Source: {@code struct iommufd_object}.
 */
abstract class IommufdObject {
    /** Its number, from 1; 0 while it is not in the table. */
    int id;

    /** How many objects and files need it, besides the table. */
    int users;

    /** Returns what it is, for messages. */
    abstract String kind();

    /**
     * Frees what it holds; it is out of the table and nobody uses it. Frees all of it, whatever fails.
     *
     * @throws RuntimeException the first failure
     */
    abstract void destroy();

    @Override
    public String toString() {
        return kind() + " " + id;
    }
}
