// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

/**
 * A queue of a virtual IOMMU's events of one type: the object, and its open file.
 *
 * <p>No driver here reports any. While the file is open the object can't be destroyed. Source: {@code struct
 * iommufd_veventq}.
 */
public final class EventQueue extends IommufdObject implements AutoCloseable {
    private final ObjectTable table;
    private final Runnable forget;
    private boolean closed;

    /**
     * Makes a queue whose file is open.
     *
     * @param forget runs when it is destroyed
     */
    EventQueue(ObjectTable table, Runnable forget) {
        this.table = table;
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

    /** Closes the file; the object stays until it is destroyed. */
    @Override
    public void close() {
        synchronized (table) {
            if (!closed) {
                closed = true;
                users--;
            }
        }
    }

    @Override
    void destroy() {
        forget.run();
    }
}
