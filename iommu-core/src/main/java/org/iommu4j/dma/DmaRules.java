// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.dma;

import static org.iommu4j.release.Evidence.INFERRED;
import static org.iommu4j.release.Evidence.READ;

import java.lang.invoke.MethodHandles;
import java.util.List;
import org.iommu4j.LinuxRelease;
import org.iommu4j.release.ReleaseRule;
import org.iommu4j.release.RuleRecords;

/**
 * What of the DMA API's behaviour depends on the release of Linux, all of it: the rules that {@link #RULES} declares,
 * under one release. Each component has its rule's name, and the rule's sentence says what it is.
 */
record DmaRules(boolean lowAddressesAgain, boolean bounceKeepsData, boolean coherentScattered) {
    /** The rules. */
    static final List<ReleaseRule<?>> RULES = List.of(
            ReleaseRule.of(
                            "lowAddressesAgain",
                            "Addresses of a PCI device are looked for below 4 GiB first at every mapping; since, only "
                                    + "until they have run out once.",
                            true,
                            READ)
                    .since("6.6", false, INFERRED, "791c2b17fb40")
                    .witnessedBy("DmaDeviceTest#lowAddressesAreTriedAgainUntil65"),
            ReleaseRule.of(
                            "bounceKeepsData",
                            "A bounce buffer that a device shall fill begins with the data of the driver's buffer, so "
                                    + "that a short transfer leaves the rest as it was; before, with zeros.",
                            false,
                            READ)
                    .since("6.10", true, READ, "2650073f1b58")
                    .witnessedBy("BounceBufferTest#whatADeviceDoesNotFillIsZeroUntil69"),
            ReleaseRule.of(
                            "coherentScattered",
                            "Coherent memory of a driver that may sleep has pages from anywhere; before, on x86, its "
                                    + "pages were contiguous.",
                            false,
                            INFERRED)
                    .since("5.18", true, INFERRED, "f5ff79fddf0e")
                    .witnessedBy("CoherentMemoryTest#itsPagesComeFromAnywhereSince518"));

    /**
     * Returns the rules of a release.
     *
     * @throws IllegalArgumentException when the release is older than all rules
     */
    static DmaRules of(LinuxRelease release) {
        return RuleRecords.of(MethodHandles.lookup(), DmaRules.class, RULES, release);
    }
}
