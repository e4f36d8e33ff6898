// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

/**
 * What is said of one kind of interrupts of a device. Source: {@code struct vfio_irq_info}.
 *
 * @param flags {@link #EVENTFD} and the others
 * @param index of a PCI function 0 for INTx, 1 for MSI, 2 for MSI-X, 3 for errors, 4 for requests to give it back
 * @param count how many there are
 */
public record VfioInterruptInfo(int flags, int index, int count) {
    /** An eventfd can be told. */
    public static final int EVENTFD = 1;

    /** It can be masked. */
    public static final int MASKABLE = 1 << 1;

    /** It is masked when it comes. */
    public static final int AUTOMASKED = 1 << 2;

    /** More can't be added while some are in use. Since 6.5 it is not said of MSI-X: x86 allocates vectors singly. */
    public static final int NORESIZE = 1 << 3;

    /** Bytes of the structure, without which it is refused. */
    public static final int MIN_SIZE = 16;
}
