// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.stream.Stream;
import org.iommu4j.pci.PciAddress;
import org.junit.jupiter.api.Test;

class ListingsTest {
    private static final PciAddress DEVICE = PciAddress.parse("01:00.0");
    private static final Source LOG = new Source("dmesg.txt", Rank.LOG);
    private static final Source ONE = new Source("one.txt", Rank.LSPCI);
    private static final Source OTHER = new Source("other.txt", Rank.LSPCI);
    private static final Source SYSFS = new Source("sysfs", Rank.SYSFS);

    private final EvidenceBuilder builder = HostEvidence.builder("host");

    private void lists(Listings.Kind kind, Source source, String... functions) {
        List<PciAddress> addresses = Stream.of(functions).map(PciAddress::parse).toList();
        addresses.forEach(address -> builder.function(address).vendorId(0x8086, source));
        builder.listing(kind, addresses, source);
    }

    private void all(Source source, String... functions) {
        lists(Listings.Kind.FUNCTIONS, source, functions);
    }

    private void groups(Source source, String... functions) {
        lists(Listings.Kind.GROUPS, source, functions);
    }

    @Test
    void whatOneListingOfAHostHasAndAnotherHasNotIsAContradiction() {
        all(ONE, "00:00.0", "01:00.0");
        all(OTHER, "00:00.0");
        HostEvidence host = builder.build();
        assertThat(host.function(DEVICE)).isPresent();
        assertThat(host.contradictions())
                .containsExactly("0000:01:00.0 is in one.txt and not in other.txt, which lists the whole host: "
                        + "treated as"
                        + " unknown");
        assertThat(host.warnings()).isEqualTo(host.contradictions());
    }

    @Test
    void ofAPartOfAHostNothingFollowsForTheRest() {
        all(ONE, "00:00.0", "01:00.0", "02:00.0");
        all(OTHER, "01:00.0");
        assertThat(builder.build().contradictions()).isEmpty();
    }

    @Test
    void whatSysfsDoesNotHaveIsLeftOut() {
        all(ONE, "00:00.0", "01:00.0");
        all(SYSFS, "00:00.0");
        HostEvidence host = builder.build();
        assertThat(host.function(DEVICE)).isEmpty();
        assertThat(host.contradictions()).isEmpty();
        assertThat(host.warnings())
                .containsExactly("0000:01:00.0 is in one.txt and not in sysfs, which takes precedence: it is ignored");
    }

    @Test
    void whatSysfsHasIsThere() {
        all(SYSFS, "00:00.0", "01:00.0");
        all(ONE, "00:00.0");
        HostEvidence host = builder.build();
        assertThat(host.function(DEVICE)).isPresent();
        assertThat(host.contradictions()).isEmpty();
        assertThat(host.warnings())
                .containsExactly("0000:01:00.0 is in sysfs, which takes precedence over one.txt, which lacks it");
    }

    @Test
    void whatOnlyTheLogOfTheBootHasIsNotThereNow() {
        builder.function(DEVICE).vendorId(0x8086, LOG);
        assertThat(builder.build().function(DEVICE)).isPresent();
        all(ONE, "00:00.0");
        HostEvidence host = builder.build();
        assertThat(host.function(DEVICE)).isEmpty();
        assertThat(host.warnings())
                .containsExactly("0000:01:00.0 is not in one.txt, which lists the whole host, and is ignored");
    }

    /** Not all functions are in a group; of two listings of groups one has not what the other has. */
    @Test
    void aListingOfGroupsLacksOnlyWhatAnotherOneHas() {
        all(ONE, "00:00.0", "01:00.0");
        groups(OTHER, "00:00.0");
        assertThat(builder.build().contradictions()).isEmpty();
        groups(new Source("third.txt", Rank.LSPCI), "00:00.0", "01:00.0");
        assertThat(builder.build().contradictions())
                .singleElement()
                .asString()
                .contains("0000:01:00.0 is in one.txt and not in other.txt");
    }
}
