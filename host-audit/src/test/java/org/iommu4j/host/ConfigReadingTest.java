// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.function.Consumer;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.junit.jupiter.api.Test;

/** Configuration space that several inputs have read: which of it counts, and what in it contradicts. */
class ConfigReadingTest {
    private static final PciAddress CARD = PciAddress.parse("01:00.0");
    private static final Source SYSFS = new Source("sysfs", Rank.SYSFS);
    private static final Source LOG = new Source("dmesg.txt", Rank.LOG);
    private static final Source ONE = new Source("one.txt", Rank.LSPCI);
    private static final Source OTHER = new Source("other.txt", Rank.LSPCI);

    private static final int EXPRESS = 0x70;
    private static final int ACS = 0x140;
    private static final int SRIOV = 0x160;

    private final EvidenceBuilder host = HostEvidence.builder("host");

    /** A function with Access Control Services and virtual functions. */
    private static byte[] config(Consumer<byte[]> change) {
        byte[] config = HostFixtures.express(0x0810);
        HostFixtures.put16(config, 0x102, ACS << 4 | 1);
        HostFixtures.put16(config, ACS, 0x000d);
        HostFixtures.put16(config, ACS + 2, SRIOV << 4 | 1);
        HostFixtures.put16(config, ACS + 4, 0x005f);
        HostFixtures.put16(config, ACS + 6, 0x001d);
        HostFixtures.put16(config, SRIOV, 0x0010);
        HostFixtures.put16(config, SRIOV + 2, 1);
        HostFixtures.put16(config, SRIOV + 0x08, 1);
        HostFixtures.put16(config, SRIOV + 0x10, 4);
        HostFixtures.put16(config, SRIOV + 0x14, 0x80);
        HostFixtures.put16(config, SRIOV + 0x16, 2);
        change.accept(config);
        return config;
    }

    private void differ(Consumer<byte[]> change) {
        host.function(CARD).config(config(same -> {}), ONE).config(config(change), OTHER);
    }

    private void assertContradiction(String words) {
        HostEvidence evidence = host.build();
        assertThat(evidence.contradictions()).singleElement().asString().contains(words);
        assertThat(evidence.function(CARD).orElseThrow().knowledge()).isEqualTo(ConfigKnowledge.NONE);
    }

    @Test
    void theTypeOfThePciExpressCapabilityDecides() {
        differ(config -> HostFixtures.put16(config, EXPRESS + 2, 0x0042));
        assertContradiction(
                "PCI Express capability of 0000:01:00.0 is of type 0 in one.txt and of type 4 in other.txt");
    }

    @Test
    void whetherThereIsAPciExpressCapabilityDecides() {
        host.function(CARD).config(Arrays.copyOf(config(same -> {}), 256), ONE);
        host.function(CARD).config(Arrays.copyOf(config(config -> config[EXPRESS] = 1), 256), OTHER);
        assertThat(host.build().contradictions())
                .contains("PCI Express capability of 0000:01:00.0 is of type 0 in one.txt and absent in other.txt: "
                        + "treated as"
                        + " unknown");
    }

    @Test
    void accessControlServicesDecide() {
        differ(config -> HostFixtures.put16(config, ACS + 6, 0));
        assertContradiction("Access Control Services of 0000:01:00.0 is 1d of 5f in one.txt and 00 of 5f in other.txt");
    }

    @Test
    void whatAccessControlServicesCanDoDecides() {
        differ(config -> HostFixtures.put16(config, ACS + 4, 0x001f));
        assertContradiction("is 1d of 5f in one.txt and 1d of 1f in other.txt");
    }

    @Test
    void virtualFunctionsDecide() {
        differ(config -> HostFixtures.put16(config, SRIOV + 0x10, 8));
        assertContradiction(
                "SR-IOV of 0000:01:00.0 is 4 functions from 128 by 2 in one.txt and 8 functions from 128 by 2");
    }

    @Test
    void virtualFunctionsThatAreOffAreNone() {
        differ(config -> HostFixtures.put16(config, SRIOV + 0x08, 0));
        assertContradiction("is 4 functions from 128 by 2 in one.txt and off in other.txt");
    }

    @Test
    void theHeaderDecides() {
        differ(config -> {
            config[0x0e] = 1;
            config[0x19] = 2;
            config[0x1a] = 5;
        });
        assertContradiction(
                "header of 0000:01:00.0 is that of an endpoint in one.txt and that of a bridge to buses 02-05");
    }

    /** Status, addresses and interrupts change while a host runs. */
    @Test
    void otherBytesMayDiffer() {
        differ(config -> {
            config[0x06] |= (byte) 0x08;
            config[0x10] = 4;
            config[0x0e] = (byte) 0x80;
            HostFixtures.put16(config, EXPRESS + 0x0a, 1);
            HostFixtures.put16(config, ACS + 4, 0x085f);
        });
        HostEvidence evidence = host.build();
        assertThat(evidence.contradictions()).isEmpty();
        assertThat(evidence.warnings()).isEmpty();
        assertThat(evidence.function(CARD).orElseThrow().knowledge()).isEqualTo(ConfigKnowledge.ALL);
    }

    // --- which reading counts ---

    @Test
    void theReadingThatKnowsMoreCounts() {
        byte[] whole = config(same -> {});
        host.function(CARD).config(Arrays.copyOf(whole, 64), SYSFS).config(whole, ONE);
        FunctionEvidence function = host.build().function(CARD).orElseThrow();
        assertThat(function.knowledge()).isEqualTo(ConfigKnowledge.ALL);
        assertThat(function.configSource()).contains("one.txt");
    }

    @Test
    void bytesCountBeforeWhatIsPutTogether() {
        byte[] whole = config(same -> {});
        host.function(CARD).reconstructed(whole, ConfigKnowledge.ALL, ONE).config(whole, OTHER);
        assertThat(host.build().function(CARD).orElseThrow().reconstructed()).isFalse();
        host.function(CARD).reconstructed(whole, ConfigKnowledge.ALL, ONE);
        assertThat(host.build().function(CARD).orElseThrow().reconstructed()).isFalse();
    }

    @Test
    void ofTwoThatKnowAsMuchTheMoreBelievedCounts() {
        host.function(CARD)
                .config(config(config -> config[0x10] = 4), ONE)
                .config(config(config -> config[0x10] = 8), SYSFS)
                .config(config(config -> config[0x10] = 12), OTHER);
        FunctionEvidence function = host.build().function(CARD).orElseThrow();
        assertThat(function.configSource()).contains("sysfs");
        assertThat(function.config().read(0x10, 1)).isEqualTo(8);
    }

    /**
     * What a header in sysfs says is not what the listing is about, whose capabilities are then not believed either.
     */
    @Test
    void aReadingThatDiffersInWhatIsBelievedMoreDoesNotCount() {
        byte[] bridge = new byte[64];
        HostFixtures.put16(bridge, 0x00, 0x8086);
        HostFixtures.put16(bridge, 0x02, 0x1616);
        HostFixtures.put16(bridge, 0x0a, 0x0300);
        bridge[0x0e] = 1;
        bridge[0x19] = 2;
        bridge[0x1a] = 2;
        host.function(CARD).config(config(same -> {}), ONE).config(bridge, SYSFS);
        HostEvidence evidence = host.build();
        assertThat(evidence.contradictions()).isEmpty();
        FunctionEvidence function = evidence.function(CARD).orElseThrow();
        assertThat(function.knowledge()).isEqualTo(ConfigKnowledge.HEADER);
        assertThat(function.bridge()).isEqualTo(Answer.YES);
        assertThat(evidence.warnings())
                .singleElement()
                .asString()
                .contains(
                        "is that of a bridge to buses 02-02 in sysfs, which takes precedence over that of an endpoint");
    }

    // --- groups ---

    /** A log of a boot without an IOMMU ranks below the groups of sysfs, and above those of a listing. */
    @Test
    void thatGroupsAreInUseIsBelievedAsFarAsTheirMostBelievedSource() {
        host.function(PciAddress.parse("00:01.0")).group(1, ONE);
        host.iommuInUse(false, LOG);
        assertThat(host.build().iommuInUse()).isEqualTo(Answer.NO);
        host.function(PciAddress.parse("00:02.0")).group(1, SYSFS);
        assertThat(host.build().iommuInUse()).isEqualTo(Answer.YES);
    }

    @Test
    void whetherAFunctionIsInAGroupAtAllMayBeContradictedToo() {
        host.function(CARD).group(3, ONE).inNoGroup(OTHER);
        FunctionEvidence function = host.build().function(CARD).orElseThrow();
        assertThat(function.grouped()).isEqualTo(Answer.UNKNOWN);
        assertThat(host.build().contradictions())
                .containsExactly("group of 0000:01:00.0 is 3 in one.txt and none in other.txt: treated as unknown");
        assertThat(host.build().iommuInUse()).isEqualTo(Answer.UNKNOWN);
        host.function(CARD).inNoGroup(SYSFS);
        assertThat(host.build().function(CARD).orElseThrow().grouped()).isEqualTo(Answer.NO);
    }
}
