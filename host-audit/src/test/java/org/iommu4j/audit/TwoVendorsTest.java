// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.iommu4j.host.HostEvidence;
import org.iommu4j.host.HostInputs;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.CoherencyRule;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.spi.KernelParameter;
import org.iommu4j.spi.Reason;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Where two vendors know a host, whose word counts for a function, and whose for the host. */
class TwoVendorsTest {
    private static final String CARD = Hosts.function("00:03.0 Ethernet controller [0200]: Maker Card [1234:0003]");
    private static final String DISK = Hosts.function("00:04.0 NVMe controller [0108]: Maker Disk [1234:0004]");

    @TempDir
    private Path folder;

    private final MadeUpVendor first = new MadeUpVendor("a").unit("a0", Answer.NO, Answer.YES);
    private final MadeUpVendor second = new MadeUpVendor("b").unit("b0", Answer.YES, Answer.YES);

    private Hosts host() throws IOException {
        return new Hosts(folder)
                .vendors(first, second)
                .lspci(CARD + Hosts.in(1, "vfio-pci"), DISK + Hosts.in(2, "vfio-pci"))
                .text("dmesg.txt", Hosts.LOG);
    }

    private static void say(MadeUpVendor vendor, String unit, Answer enforces, Answer translated) {
        switch (translated) {
            case YES -> vendor.has("00:03.0", unit, enforces);
            case NO -> vendor.hasNot("00:03.0");
            case UNKNOWN -> vendor.isUnsureOf("00:03.0");
        }
    }

    @Test
    void aVendorThatIsNotBuiltForTheReleaseLeavesItsDevicesUnknownAndStopsNoOther() throws IOException {
        first.since("6.6").has("00:03.0", "a0", Answer.NO).hasNot("00:04.0");
        second.hasNot("00:03.0").has("00:04.0", "b0", Answer.YES);
        Audit audit = host().audit("6.1");
        assertThat(audit.units()).extracting(AuditedUnit::vendor).containsExactly("b");
        assertThat(Hosts.device(audit, "00:03.0").translated()).isEqualTo(Answer.UNKNOWN);
        assertThat(Hosts.device(audit, "00:03.0").guest()).isEqualTo(Guest.UNKNOWN);
        assertThat(Hosts.device(audit, "00:04.0").guest()).isEqualTo(Guest.COHERENT);
        assertThat(audit.warnings())
                .contains("no driver of a is built for Linux 6.1: its units, and functions that no other vendor's unit"
                        + " has, are unknown");

        Audit newer = host().audit("6.6");
        assertThat(Hosts.device(newer, "00:03.0").guest()).isEqualTo(Guest.NONCOHERENT);
        assertThat(newer.warnings()).noneMatch(line -> line.contains("is built for"));
    }

    /** It does not claim that the input names no vendor. */
    @Test
    void whereNoDriverIsBuiltForTheReleaseNothingIsKnown() throws IOException {
        first.since("6.6").has("00:03.0", "a0", Answer.NO);
        second.since("6.7").has("00:04.0", "b0", Answer.YES);
        Audit audit = host().audit("6.1");
        assertThat(audit.units()).isEmpty();
        assertThat(audit.devices()).extracting(AuditedDevice::translated).containsOnly(Answer.UNKNOWN);
        assertThat(audit.warnings())
                .anyMatch(line -> line.startsWith("no driver of a, b is built for Linux 6.1: "))
                .noneMatch(line -> line.contains("no firmware table and no unit"));
    }

    /** A unit that may translate is not ruled out because the other vendor has none. */
    @ParameterizedTest
    @CsvSource({
        "YES, YES, a0, NONCOHERENT",
        "YES, NO, a0, NONCOHERENT",
        "YES, UNKNOWN, a0, NONCOHERENT",
        "NO, YES, b0, COHERENT",
        "UNKNOWN, YES, b0, COHERENT",
        "NO, NO, , UNKNOWN",
        "NO, UNKNOWN, , UNKNOWN",
        "UNKNOWN, NO, , UNKNOWN",
        "UNKNOWN, UNKNOWN, , UNKNOWN"
    })
    void theMoreCertainAnswerCountsWhicheverVendorIsAskedFirst(Answer a, Answer b, String unit, Guest guest)
            throws IOException {
        say(first, "a0", Answer.NO, a);
        say(second, "b0", Answer.YES, b);
        AuditedDevice card = Hosts.device(host().audit("6.1"), "00:03.0");
        assertThat(card.unit()).isEqualTo(unit);
        assertThat(card.guest()).isEqualTo(guest);
        Answer expected = a == Answer.YES || b == Answer.YES
                ? Answer.YES
                : a == Answer.UNKNOWN || b == Answer.UNKNOWN ? Answer.UNKNOWN : Answer.NO;
        assertThat(card.translated()).isEqualTo(expected);
        assertThat(card.assignable()).isEqualTo(expected);
    }

    /** Both tables name the card, and Linux has linked it to the second vendor's unit. */
    @Test
    void ofTwoUnitsTheOneThatLinuxNamesTranslates() throws IOException {
        first.has("00:03.0", "a0", Answer.NO);
        second.has("00:03.0", "b0", Answer.YES);
        Path devices = Files.createDirectories(folder.resolve("sys/bus/pci/devices/0000:00:03.0"));
        Files.writeString(devices.resolve("class"), "0x020000\n");
        for (String unit : List.of("a0", "b0")) {
            Files.createDirectories(folder.resolve("sys/class/iommu/" + unit));
            Files.deleteIfExists(devices.resolve("iommu"));
            Files.createSymbolicLink(devices.resolve("iommu"), Path.of("../../../../class/iommu/" + unit));
            Audit audit = new Hosts(folder).vendors(first, second).tree(folder).audit("6.1");
            assertThat(Hosts.device(audit, "00:03.0").unit()).isEqualTo(unit);
        }
    }

    /** Each vendor reads its own table; none knows the other's units. */
    @Test
    void unitsOfBothAreComparedWithLinuxsLinks() throws IOException {
        first.since("6.6").has("00:03.0", "a0", Answer.NO).hasNot("00:04.0");
        second.hasNot("00:03.0").has("00:04.0", "b0", Answer.YES);
        for (String device : List.of("3", "4")) {
            String unit = device.equals("3") ? "a0" : "b0";
            Path function = Files.createDirectories(folder.resolve("sys/bus/pci/devices/0000:00:0" + device + ".0"));
            Files.writeString(function.resolve("class"), "0x020000\n");
            Files.createDirectories(folder.resolve("sys/class/iommu/" + unit));
            Files.createSymbolicLink(function.resolve("iommu"), Path.of("../../../../class/iommu/" + unit));
        }
        HostEvidence host = HostInputs.withInstalledVendors().capture(folder).read();
        assertThat(CaptureComparison.differences(host, List::of, IommuVendors.of(List.of(first, second))))
                .isEmpty();
        assertThat(CaptureComparison.differences(host, List::of, IommuVendors.of(List.of(second))))
                .containsExactly("unit of 0000:00:03.0 differs: a0 in the host's Linux, none in our reading of its b"
                        + " table");
        first.hasNot("00:03.0");
        assertThat(CaptureComparison.differences(host, List::of, IommuVendors.of(List.of(first, second))))
                .containsExactly("unit of 0000:00:03.0 differs: a0 in the host's Linux, none in our reading of its a"
                        + " and b tables");
    }

    @Test
    void theDriverOfTheVendorThatTranslatesKeepsDevicesWithDirectMemory() throws IOException {
        first.hasNot("00:03.0").keepsDirectDevices();
        second.has("00:03.0", "b0", Answer.YES, Regions.DIRECT);
        assertThat(Hosts.device(host().audit("6.5"), "00:03.0").assignable()).isEqualTo(Answer.YES);
        second.keepsDirectDevices();
        AuditedDevice card = Hosts.device(host().audit("6.5"), "00:03.0");
        assertThat(card.assignable()).isEqualTo(Answer.NO);
        assertThat(card.obstacles()).extracting(Reason::source).containsExactly("b_lock");
    }

    @Test
    void theRuleAndTheProcessorsAreThoseOfTheVendorWhoseUnitsTranslate() throws IOException {
        first.rule(CoherencyRule.ALWAYS).processors(HardwareVirtualization.SVM).hasNot("00:03.0");
        second.rule(CoherencyRule.PER_DOMAIN).has("00:03.0", "b0", Answer.NO);
        Audit audit = host().audit("6.1");
        assertThat(audit.rule()).isEqualTo(CoherencyRule.PER_DOMAIN);
        assertThat(audit.cost())
                .isEqualTo("the guest's WBINVD flushes the host's caches; guest PAT and MTRRs are honoured (slow)");

        second.hasNot("00:03.0");
        assertThat(host().audit("6.1").rule()).as("none translates: the first").isEqualTo(CoherencyRule.ALWAYS);
    }

    @Test
    void aStepNamesTheRuleOfTheDevicesOwnVendor() throws IOException {
        first.rule(CoherencyRule.ALWAYS).has("00:03.0", "a0", Answer.YES);
        second.rule(CoherencyRule.PER_DOMAIN).has("00:04.0", "b0", Answer.NO);
        Assignment asked = host().audit("6.1", "00:03.0", "00:04.0").assignment();
        assertThat(asked).isNotNull();
        assertThat(rule(asked, "00:03.0")).startsWith("ALWAYS: ");
        assertThat(rule(asked, "00:04.0")).startsWith("PER_DOMAIN: ");
    }

    private static String rule(Assignment asked, String device) {
        return asked.paths().get(PciAddress.parse(device)).stream()
                .filter(step -> step.what().equals("domain enforces coherency"))
                .findFirst()
                .orElseThrow()
                .source();
    }

    @Test
    void unitsOfBothAreListedEachWithItsOwnDevicesAndVendor() throws IOException {
        first.has("00:03.0", "a0", Answer.NO);
        second.has("00:04.0", "b0", Answer.YES);
        Audit audit = host().audit("6.1");
        assertThat(audit.units()).extracting(AuditedUnit::vendor).containsExactly("a", "b");
        assertThat(audit.unit("a0").orElseThrow().devices()).containsExactly(PciAddress.parse("00:03.0"));
        assertThat(audit.unit("b0").orElseThrow().devices()).containsExactly(PciAddress.parse("00:04.0"));
    }

    /** The audit answers for functions; what it leaves out it says. */
    @Test
    void namedDevicesOfAVendorAreLeftOutWithAWarningAndChangeNoAnswer() throws IOException {
        first.has("00:03.0", "a0", Answer.NO);
        Audit without = host().audit("6.1");
        first.saysOfNamed("\\_SB.GPU0", Answer.YES, "a0").saysOfNamed("\\_SB.GPU1", Answer.NO, null);
        for (int i = 2; i < 5; i++) {
            second.saysOfNamed("\\_SB.GPU" + i, Answer.UNKNOWN, null);
        }
        second.saysOfNamed("\\_SB.GPU5", Answer.YES, "b0");

        Audit with = host().audit("6.1");

        assertThat(with.devices()).isEqualTo(without.devices());
        assertThat(with.units()).isEqualTo(without.units());
        assertThat(with.groups()).isEqualTo(without.groups());
        assertThat(with.warnings())
                .containsAll(without.warnings())
                .contains(
                        "the audit has no answers for devices that are not on PCI, of which vendor a has 1: \\_SB.GPU0",
                        "the audit has no answers for devices that are not on PCI, of which vendor b has 4: "
                                + "\\_SB.GPU2, \\_SB.GPU3, \\_SB.GPU4 and others");
    }

    @Test
    void aPromiseOfEitherVendorThatIsNotKeptCounts() throws IOException {
        first.has("00:03.0", "a0", Answer.YES);
        second.has("00:04.0", "b0", Answer.YES)
                .parameter("b_iommu", "fast", KernelParameter.Effect.FALSE_PROMISE)
                .parameter("b_iommu", "odd", KernelParameter.Effect.FALSE_PROMISE)
                .parameter("b_iommu", "some", KernelParameter.Effect.DISABLES_SOME);
        assertThat(host().audit("6.1").reliablyCoherent()).isTrue();
        Audit audit = host().text("cmdline.txt", Hosts.LOG + "Kernel command line: b_iommu=fast,some\n")
                .audit("6.1");
        assertThat(audit.falsePromises())
                .containsExactly(new Reason("b_iommu=fast: does FALSE_PROMISE", "b parameters"));
        assertThat(audit.overall()).isEqualTo(Guest.COHERENT);
        assertThat(audit.reliablyCoherent()).isFalse();
    }

    /** Two vendors' answers differ, and Linux has no group for the function: nobody translates for it. */
    @Test
    void thatLinuxHasNoGroupForAFunctionCountsBeforeBothVendors() throws IOException {
        first.has("00:03.0", "a0", Answer.NO);
        second.has("00:03.0", "b0", Answer.YES);
        Files.createDirectories(folder.resolve("sys/kernel/iommu_groups/7/devices/0000:00:04.0"));
        Path devices = folder.resolve("sys/bus/pci/devices");
        for (String function : List.of("0000:00:03.0", "0000:00:04.0")) {
            Files.writeString(Files.createDirectories(devices.resolve(function)).resolve("class"), "0x020000\n");
        }
        Files.createSymbolicLink(
                devices.resolve("0000:00:04.0/iommu_group"), Path.of("../../../../kernel/iommu_groups/7"));
        AuditedDevice card = Hosts.device(
                new Hosts(folder).vendors(first, second).tree(folder).audit("6.1"), "00:03.0");
        assertThat(card.translated()).isEqualTo(Answer.NO);
        assertThat(card.unit()).isNull();
        assertThat(card.why()).extracting(Reason::text).contains("the host's Linux has no group for it");
    }
}
