// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

/**
 * A queue of a virtual IOMMU's events of one type: the object, and its open file.
 *
 * <p>No driver here reports any. While the file is open the object can't be destroyed, and the objects of a
 * closed iommufd stay. Source: {@code struct iommufd_veventq}.
 */
public final class EventQueue extends IommufdObject implements AutoCloseable {
    private final ObjectTable table;
    private final Runnable release;
    private final Runnable forget;
    private boolean closed;

    /**
     * Makes a queue whose file is open.
     *
     * @param release lets go of the iommufd, which is held
     * @param forget runs when it is destroyed
     */
    EventQueue(ObjectTable table, Runnable release, Runnable forget) {
        this.table = table;
        this.release = release;
        this.forget = forget;
        users = 1;
    }

    /** Returns its number in the object table. */
    public int id() {
        return id;
    }

    @Override
    String kind() {
        return "event queue";
    }

    /**
     * Closes the file; the object stays until it is destroyed.
     *
     * @throws org.iommu4j.IommuException as {@link Iommufd#close} when it was the last user of a closed iommufd
     */
    @Override
    public void close() {
        synchronized (table) {
            if (!closed) {
                closed = true;
                users--;
                release.run();
            }
        }
    }

    @Override
    void destroy() {
        forget.run();
    }
}
