// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.dma;

import org.iommu4j.Prot;

/** The direction of a transfer's data. Source: {@code enum dma_data_direction}, {@code dma_info_to_prot}. */
public enum DmaDirection {
    /** The device reads and writes. */
    BIDIRECTIONAL(Prot.READ_WRITE),
    /** The device reads. */
    TO_DEVICE(Prot.READ),
    /** The device writes. */
    FROM_DEVICE(Prot.WRITE);

    private final int prot;

    DmaDirection(int prot) {
        this.prot = prot;
    }

    /** Returns the {@link Prot} bits that the device needs, READ, WRITE or both. */
    public int prot() {
        return prot;
    }

    /** Returns whether the device reads what the CPU wrote. */
    boolean toDevice() {
        return this != FROM_DEVICE;
    }

    /** Returns whether the CPU reads what the device wrote. */
    boolean fromDevice() {
        return this != TO_DEVICE;
    }
}
