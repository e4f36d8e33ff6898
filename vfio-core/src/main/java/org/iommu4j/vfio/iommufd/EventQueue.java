// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

/**
 * A queue of a virtual IOMMU's events of one type: the object, and its open file.
 *
 * <p>No driver here reports any. While the file is open the object can't be destroyed, and the objects of a
 * closed iommufd stay. Source: {@code struct iommufd_veventq}.
 */
public final class EventQueue extends IommufdObject implements AutoCloseable {
    private final IommufdContext context;
    private final Runnable forget;
    private boolean closed;

    /**
     * Makes a queue whose file is open.
     *
     * @param forget runs when it is destroyed
     */
    EventQueue(IommufdContext context, Runnable forget) {
        this.context = context;
        context.hold();
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
        synchronized (context.table) {
            if (!closed) {
                closed = true;
                users--;
                context.release();
            }
        }
    }

    @Override
    void destroy() {
        forget.run();
    }
}
