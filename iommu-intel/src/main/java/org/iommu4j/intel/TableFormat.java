// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import org.iommu4j.Prot;
import org.iommu4j.intel.fmt.FirstStageEntry;
import org.iommu4j.intel.fmt.SecondStageEntry;

/**
 * The differences between the two table formats, as masks: {@link PageTable} is one algorithm over both.
 *
 * <p>Both have 512 entries of 64 bits in a frame, and leaves of 4 KiB, 2 MiB and 1 GiB. The large-page bit and the
 * address are in the same place. As in Linux's {@code generic_pt}, the differences are data, so that no entry costs a
 * virtual call.
 *
 * @param name the result of {@link org.iommu4j.IommuDomain#format()}
 * @param present an entry is present when any of these bits is set
 * @param table the bits of an entry that points to the next table; the leaf has the permissions
 * @param large a leaf above level 1
 * @param writtenBack a bit that hardware ignores, used by the driver
 * @param dirty a device wrote through the leaf
 * @param readable bits of a leaf that grants any access
 * @param writable additional bits for writing; a second stage grants reading and writing separately, a first stage does
 *     not
 * @param readOnlyBit the bit that reading alone needs, 0 where every present leaf is readable
 * @param forbidsExecution the bit that forbids execution, 0 where there is none
 * @param forcesSnoop the bit that overrides no-snoop, 0 where there is none
 */
record TableFormat(
        String name,
        long present,
        long table,
        long large,
        long writtenBack,
        long dirty,
        long readable,
        long writable,
        long readOnlyBit,
        long forbidsExecution,
        long forcesSnoop) {
    /** The bits of the address, in both formats. */
    static final long ADDRESS_MASK = SecondStageEntry.ADDR.mask();

    /** VT-d 3.7 and 9.8. */
    static final TableFormat SECOND_STAGE = new TableFormat(
            "vtd-second-stage",
            SecondStageEntry.R.mask() | SecondStageEntry.W.mask(),
            SecondStageEntry.R.mask() | SecondStageEntry.W.mask(),
            SecondStageEntry.PS.mask(),
            SecondStageEntry.IGN10.mask(),
            SecondStageEntry.D.mask(),
            0,
            SecondStageEntry.W.mask(),
            SecondStageEntry.R.mask(),
            0,
            SecondStageEntry.SNP.mask());

    /**
     * VT-d 3.6 and 9.7. A and, where writing is granted, D are set in advance, as in Linux. So the unit never writes
     * into the table, which it must not do where it does not snoop.
     */
    static final TableFormat FIRST_STAGE = new TableFormat(
            "vtd-first-stage",
            FirstStageEntry.P.mask(),
            FirstStageEntry.P.mask() | FirstStageEntry.RW.mask() | FirstStageEntry.US.mask() | FirstStageEntry.A.mask(),
            FirstStageEntry.PS.mask(),
            FirstStageEntry.IGN9.mask(),
            FirstStageEntry.D.mask(),
            FirstStageEntry.P.mask() | FirstStageEntry.US.mask() | FirstStageEntry.A.mask(),
            FirstStageEntry.RW.mask() | FirstStageEntry.D.mask(),
            0,
            FirstStageEntry.XD.mask(),
            0);

    /**
     * Returns the bits of a leaf without its size, 0 when the protection grants neither reading nor writing.
     *
     * @param prot {@link Prot} bits
     */
    long leaf(int prot) {
        if ((prot & Prot.READ_WRITE) == 0) {
            return 0;
        }
        return readable | ((prot & Prot.WRITE) != 0 ? writable : 0) | ((prot & Prot.READ) != 0 ? readOnlyBit : 0);
    }
}
