// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.iommu4j.host.InputException;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.CoherencyRule;
import org.iommu4j.spi.Reason;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** One virtual machine that gets several devices: what VFIO and KVM answer for all of them together. */
class AssignmentTest {
    private static final String ALONG = "; 1 more device of its group goes along";
    private static final String GOOD = "0000:00:03.0";
    private static final String BAD = "0000:00:04.0";
    private static final String OPEN = "0000:00:05.0";

    @TempDir
    private Path folder;

    private final MadeUpVendor vendor = new MadeUpVendor("v")
            .rule(CoherencyRule.PER_DOMAIN)
            .unit("v0", Answer.YES, Answer.YES)
            .unit("v1", Answer.NO, Answer.NO)
            .unit("v2", Answer.UNKNOWN, Answer.NO);

    @BeforeEach
    void oneDeviceOfEachKind() {
        vendor.has(GOOD, "v0", Answer.YES).has(BAD, "v1", Answer.NO).has(OPEN, "v2", Answer.UNKNOWN);
    }

    private static String in(String function, int group, String driver) {
        return Hosts.express(
                        function.substring(5) + " Ethernet controller [0200]: Maker Card [1234:0003]", "Endpoint", true)
                + Hosts.in(group, driver);
    }

    private Hosts host(String... functions) throws IOException {
        return new Hosts(folder).vendors(vendor).lspci(functions).text("dmesg.txt", Hosts.LOG);
    }

    private Hosts apart() throws IOException {
        return host(in(GOOD, 1, "vfio-pci"), in(BAD, 2, "vfio-pci"), in(OPEN, 3, "vfio-pci"));
    }

    private static Assignment of(Audit audit) {
        return Objects.requireNonNull(audit.assignment());
    }

    private static List<String> texts(List<Reason> reasons) {
        return reasons.stream().map(Reason::text).toList();
    }

    private static List<PciAddress> addresses(String... devices) {
        return Arrays.stream(devices).map(PciAddress::parse).toList();
    }

    private static String answer(Assignment asked, String device, String step) {
        return asked.paths().get(PciAddress.parse(device)).stream()
                .filter(each -> each.what().equals(step))
                .findFirst()
                .orElseThrow()
                .answer();
    }

    // --- all devices together ---

    @ParameterizedTest
    @ValueSource(strings = {"6.1", "6.2"})
    void oneDeviceThatIsNotCoherentDecidesThenOneThatIsNotKnown(String release) throws IOException {
        Assignment good = of(apart().audit(release, GOOD));
        assertThat(good.guest()).isEqualTo(Guest.COHERENT);
        assertThat(good.dmaCcIommu()).isEqualTo(Answer.YES);
        assertThat(good.noncoherent()).isEmpty();
        assertThat(good.hints()).isEmpty();

        Assignment open = of(apart().audit(release, GOOD, OPEN));
        assertThat(open.guest()).isEqualTo(Guest.UNKNOWN);
        assertThat(open.dmaCcIommu()).isEqualTo(Answer.UNKNOWN);
        assertThat(open.noncoherent()).isEmpty();

        Assignment all = of(apart().audit(release, GOOD, OPEN, BAD));
        assertThat(all.guest()).isEqualTo(Guest.NONCOHERENT);
        assertThat(all.dmaCcIommu()).isEqualTo(Answer.NO);
        assertThat(all.noncoherent()).containsExactlyElementsOf(addresses(BAD));
        assertThat(all.devices()).containsExactlyElementsOf(addresses(GOOD, OPEN, BAD));
    }

    @Test
    void adviceIsGivenForTheDevicesThatTheGuestGetsAndForNoOther() throws IOException {
        assertThat(texts(of(apart().audit("6.1", GOOD)).hints())).isEmpty();
        assertThat(texts(of(apart().audit("6.1", BAD)).hints()))
                .satisfiesExactly(
                        first -> assertThat(first).startsWith("the device is part of the chipset"),
                        second -> assertThat(second).startsWith("clear Enable No Snoop"));
    }

    @ParameterizedTest
    @CsvSource({"6.1, vfio_file_enforced_coherent (until 6.1)", "6.2, vfio_file_enforced_coherent (6.2)"})
    void whatTheGuestWouldBeWithoutTheDeviceToBlameIsSaid(String release, String source) throws IOException {
        Reason without = of(apart().audit(release, GOOD, BAD)).hints().stream()
                .filter(hint -> hint.text().startsWith("without"))
                .findFirst()
                .orElseThrow();
        assertThat(without.text()).isEqualTo("without " + BAD + " the virtual machine would be coherent");
        assertThat(without.source()).startsWith(source);
        assertThat(texts(of(apart().audit(release, OPEN, BAD)).hints()))
                .contains("without " + BAD + " the virtual machine would be unknown");
        assertThat(texts(of(apart().audit(release, BAD)).hints()))
                .as("nothing would be left")
                .noneMatch(hint -> hint.startsWith("without"));
    }

    /** A sister of what stays is to blame as well, and it would be there still. */
    @Test
    void whereTheRestIsNoBetterNothingIsSaidOfIt() throws IOException {
        String third = "0000:00:06.0";
        vendor.has(third, "v1", Answer.NO);
        Assignment asked = of(host(in(GOOD, 1, "vfio-pci"), in(BAD, 2, "vfio-pci"), in(third, 1, "vfio-pci"))
                .audit("6.2", GOOD, BAD));
        assertThat(asked.noncoherent()).containsExactlyElementsOf(addresses(BAD, third));
        assertThat(texts(asked.hints())).noneMatch(hint -> hint.startsWith("without"));
    }

    @Test
    void obstaclesOfAllDevicesStandAgainstTheMachineEachOnce() throws IOException {
        vendor.isUnsureOf(OPEN).hasNot(BAD);
        Audit audit = apart().audit("6.1", GOOD, OPEN);
        assertThat(of(audit).assignable()).isEqualTo(Answer.UNKNOWN);
        assertThat(texts(of(audit).obstacles()))
                .contains("it is unknown whether an IOMMU translates for it")
                .doesNotHaveDuplicates();
        Assignment refused = of(apart().audit("6.1", GOOD, OPEN, BAD));
        assertThat(refused.assignable()).isEqualTo(Answer.NO);
        assertThat(texts(refused.obstacles())).contains("no IOMMU translates for it");
        assertThat(of(apart().audit("6.1", GOOD)).assignable()).isEqualTo(Answer.YES);
    }

    @Test
    void aDeviceThatIsNamedTwiceIsOne() throws IOException {
        assertThat(of(apart().audit("6.1", GOOD, GOOD)).devices()).hasSize(1);
    }

    @Test
    void aDeviceThatIsNotThereIsRefusedWithThoseThatAre() {
        assertThatExceptionOfType(InputException.class)
                .isThrownBy(() -> apart().audit("6.1", GOOD, "00:09.0"))
                .withMessage("--assign: the input has no PCI function 0000:00:09.0; known: [" + GOOD + ", " + BAD + ", "
                        + OPEN + "]");
    }

    // --- what is in the group with them ---

    @Test
    void aSisterThatComesAlongIsNoObstacleAndNobodyIsAskedToBringIt() throws IOException {
        vendor.has(BAD, "v0", Answer.YES);
        Hosts host = host(in(GOOD, 1, "e1000e"), in(BAD, 1, "nvme"));
        Assignment alone = of(host.audit("6.1", GOOD));
        assertThat(alone.assignable()).isEqualTo(Answer.NO);
        assertThat(texts(alone.hints()))
                .containsExactly("assign " + BAD + " of group 1 to the same guest as well, or unbind from the driver");
        Assignment both = of(host.audit("6.1", GOOD, BAD));
        assertThat(both.assignable()).isEqualTo(Answer.YES);
        assertThat(both.obstacles()).isEmpty();
        assertThat(both.hints()).isEmpty();
    }

    /** Something else stands against both, and nobody is missing. */
    @Test
    void nobodyIsAskedToBringASisterThatIsThereThoughSomethingElseStandsAgainstThem() throws IOException {
        vendor.has(BAD, "v0", Answer.YES, Regions.DIRECT);
        Assignment both = of(host(in(GOOD, 1, "e1000e"), in(BAD, 1, "nvme")).audit("6.6", GOOD, BAD));
        assertThat(both.assignable()).isEqualTo(Answer.NO);
        assertThat(texts(both.hints())).noneMatch(hint -> hint.startsWith("assign "));
    }

    @Test
    void onlySistersThatStayBehindAreNamed() throws IOException {
        vendor.has(BAD, "v0", Answer.YES).has(OPEN, "v0", Answer.YES);
        Assignment two = of(host(in(GOOD, 1, "e1000e"), in(BAD, 1, "nvme"), in(OPEN, 1, "ahci"))
                .audit("6.1", GOOD, BAD));
        assertThat(two.assignable()).isEqualTo(Answer.NO);
        assertThat(texts(two.obstacles())).containsExactly(OPEN + " of the same group is bound to ahci");
        assertThat(texts(two.hints()))
                .containsExactly("assign " + OPEN + " of group 1 to the same guest as well, or unbind from the driver");
    }

    /**
     * A domain has all functions of its groups, whoever has them. Until 6.1 KVM asks the container, since 6.2 the
     * devices that VFIO has.
     */
    @ParameterizedTest
    @CsvSource({
        "6.1, vfio-pci, NONCOHERENT, NO",
        "6.1, pci-stub, NONCOHERENT, NO",
        "6.2, vfio-pci, NONCOHERENT, NO",
        "6.2, pci-stub, COHERENT, NO",
        "7.1, pci-stub, COHERENT, NO"
    })
    void aSisterBehindAnotherUnitDecidesAboutTheDomainAndAboutKvmWhereItAsks(
            String release, String driver, Guest guest, Answer dmaCc) throws IOException {
        Audit audit = host(in(GOOD, 1, "vfio-pci"), in(BAD, 1, driver)).audit(release, GOOD);
        Assignment asked = of(audit);
        assertThat(asked.dmaCcIommu()).isEqualTo(dmaCc);
        assertThat(asked.guest()).isEqualTo(guest);
        assertThat(audit.overall()).isEqualTo(guest);
        assertThat(audit.reliablyCoherent()).isFalse();
        assertThat(answer(asked, GOOD, "VFIO_DMA_CC_IOMMU")).isEqualTo("0");
        assertThat(answer(asked, GOOD, "guest")).isEqualTo(guest.name());
        if (guest == Guest.NONCOHERENT) {
            assertThat(asked.noncoherent()).containsExactlyElementsOf(addresses(BAD));
            assertThat(Headline.verdict(audit))
                    .isEqualTo("a guest with " + GOOD + " is NONCOHERENT because of " + BAD + ALONG);
        } else {
            assertThat(asked.noncoherent()).isEmpty();
            assertThat(Headline.verdict(audit))
                    .isEqualTo("a guest with " + GOOD + " is COHERENT, although its domain does not block no-snoop"
                            + ALONG);
            assertThat(Headline.shade(audit)).isEqualTo(Guest.NONCOHERENT);
        }
        assertThat(texts(asked.hints()))
                .as("the sister is there whether the guest has it or not")
                .noneMatch(hint -> hint.startsWith("without"));
    }

    @Test
    void whatIsNotKnownOfASisterIsNotKnownOfTheDomain() throws IOException {
        Audit audit = host(in(GOOD, 1, "vfio-pci"), in(OPEN, 1, "pci-stub")).audit("6.2", GOOD);
        assertThat(of(audit).dmaCcIommu()).isEqualTo(Answer.UNKNOWN);
        assertThat(audit.overall()).isEqualTo(Guest.COHERENT);
        assertThat(audit.reliablyCoherent()).as("fails closed").isFalse();
        assertThat(Headline.verdict(audit))
                .isEqualTo("a guest with " + GOOD
                        + " is COHERENT, although it is unknown whether its domain blocks no-snoop" + ALONG);
    }

    @Test
    void aSisterThatNoUnitTranslatesForIsInNoDomain() throws IOException {
        vendor.hasNot(BAD);
        assertThat(of(host(in(GOOD, 1, "vfio-pci"), in(BAD, 1, "pci-stub")).audit("6.1", GOOD))
                        .dmaCcIommu())
                .isEqualTo(Answer.YES);
    }

    // --- the way from the device to its guest's caches ---

    @Test
    void theWayOfADeviceIsToldStepByStep() throws IOException {
        Assignment asked = of(apart().audit("6.1", GOOD, BAD));
        assertThat(asked.paths()).containsOnlyKeys(addresses(GOOD, BAD));
        assertThat(asked.paths().get(PciAddress.parse(GOOD)))
                .extracting(Step::answer)
                .containsExactly("yes", "v0", "yes", "yes", "0", "yes", "NONCOHERENT");
        assertThat(asked.paths().get(PciAddress.parse(BAD)))
                .extracting(Step::answer)
                .containsExactly("yes", "v1", "no", "no", "0", "yes", "NONCOHERENT");
        assertThat(of(apart().audit("6.1", GOOD)).paths().get(PciAddress.parse(GOOD)))
                .extracting(Step::answer)
                .containsExactly("yes", "v0", "yes", "yes", "1", "no", "COHERENT");
        Assignment open = of(apart().audit("6.1", OPEN));
        assertThat(open.paths().get(PciAddress.parse(OPEN)))
                .extracting(Step::answer)
                .containsExactly("yes", "v2", "unknown", "unknown", "unknown", "unknown", "UNKNOWN");
        assertThat(open.paths().get(PciAddress.parse(OPEN)))
                .last()
                .satisfies(step -> assertThat(step.source()).isEqualTo("depends on unknown facts"));
        vendor.isUnsureOf(OPEN);
        assertThat(answer(of(apart().audit("6.1", OPEN)), OPEN, "translated by"))
                .isEqualTo("no known unit");
        assertThat(answer(of(apart().audit("6.1", OPEN)), OPEN, "unit can block no-snoop"))
                .isEqualTo("unknown");
    }
}
