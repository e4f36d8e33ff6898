// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import java.util.function.LongUnaryOperator;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.RegisterSpace;

/** What a vendor's tables look like in memory: a walk and the words that Linux writes, both written here by hand. */
public interface LeafFormat {
    /**
     * Walks as the hardware would, from the unit's registers on.
     *
     * @param registers the unit's registers
     * @param memory loads a word by its physical address
     * @param device whose address space
     */
    Leaf walk(RegisterSpace registers, LongUnaryOperator memory, PciAddress device, long iova);

    /**
     * Returns the word of the leaf that Linux 7.1 writes.
     *
     * @param physicalAddress of the page
     * @param prot {@link org.iommu4j.Prot} bits
     * @param enforced whether the domain was asked to block no-snoop, and said that it does
     */
    long linuxLeaf(long physicalAddress, long pageSize, int prot, boolean enforced);

    /** Returns how many equal words stand for a page of a size. */
    int replicas(long pageSize);

    /**
     * A leaf.
     *
     * @param entry its word; 0 when nothing is mapped
     * @param pageSize bytes that it maps
     * @param physicalAddress of the byte asked for
     * @param readable whether every level lets the device read
     * @param writable whether every level lets the device write
     * @param forcesSnoop whether a no-snoop request is snooped all the same
     */
    record Leaf(
            long entry, long pageSize, long physicalAddress, boolean readable, boolean writable, boolean forcesSnoop) {
        /** Nothing is mapped. */
        static final Leaf NONE = new Leaf(0, 0, 0, false, false, false);

        /** Returns whether something is mapped. */
        public boolean present() {
            return entry != 0;
        }
    }
}
