// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.Reason;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Whether VFIO takes a device or a group, rule by rule, and what is named as standing against it. */
class ViabilityTest {
    private static final String CARD = "00:03.0 Ethernet controller [0200]: Maker Card [1234:0003]";
    private static final String SISTER = "00:03.1 Ethernet controller [0200]: Maker Card [1234:0003]";
    private static final String BRIDGE =
            "00:1e.0 PCI bridge [0604]: Maker Bridge [1234:0006]\n\tBus: primary=00, secondary=05, subordinate=05";
    private static final String BEHIND = "05:00.0 Ethernet controller [0200]: Maker Card [1234:0007]";

    @TempDir
    private Path folder;

    private final MadeUpVendor vendor = new MadeUpVendor("v")
            .unit("v0", Answer.YES, Answer.YES)
            .has("00:03.0", "v0", Answer.YES)
            .has("00:03.1", "v0", Answer.YES)
            .has("00:1e.0", "v0", Answer.YES)
            .has("05:00.0", "v0", Answer.YES);

    private Hosts host(String... functions) throws IOException {
        return new Hosts(folder).vendors(vendor).lspci(functions).text("dmesg.txt", Hosts.LOG);
    }

    private static List<String> obstacles(Audit audit, String device) {
        return Hosts.device(audit, device).obstacles().stream()
                .map(Reason::text)
                .toList();
    }

    private static String in(String function, int group, String driver) {
        return Hosts.function(function) + Hosts.in(group, driver);
    }

    // --- drivers ---

    @ParameterizedTest
    @ValueSource(
            strings = {
                "vfio-pci",
                "vfio_pci",
                "mlx5_vfio_pci",
                "nvgrace-gpu-vfio-pci",
                "pci-stub",
                "pci_stub",
                "pcieport"
            })
    void aSisterWhoseDriverLeavesDmaAloneStandsAgainstNobody(String driver) throws IOException {
        for (String release : List.of("5.15", "5.18", "5.19", "7.1")) {
            Audit audit = host(in(CARD, 1, "e1000e"), in(SISTER, 1, driver)).audit(release);
            assertThat(Hosts.device(audit, "00:03.0").assignable()).as(release).isEqualTo(Answer.YES);
            assertThat(obstacles(audit, "00:03.0")).isEmpty();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"e1000e", "nvme", "stub", "xhci_hcd", "pcieportal", "pci-stubborn", "uio_pci_generic"})
    void aSisterWithAnyOtherDriverStandsAgainstItAndItAgainstNobodyElse(String driver) throws IOException {
        Audit audit = host(in(CARD, 1, "vfio-pci"), in(SISTER, 1, driver)).audit("6.1");
        assertThat(Hosts.device(audit, "00:03.0").assignable()).isEqualTo(Answer.NO);
        assertThat(Hosts.device(audit, "00:03.0").assignableWithGroup()).isEqualTo(Answer.YES);
        assertThat(obstacles(audit, "00:03.0")).containsExactly("0000:00:03.1 of the same group is bound to " + driver);
        assertThat(Hosts.device(audit, "00:03.1").assignable())
                .as("its own driver is unbound first")
                .isEqualTo(Answer.YES);
    }

    @Test
    void aDriverOfAnotherGroupStandsAgainstNobody() throws IOException {
        Audit audit = host(in(CARD, 1, "e1000e"), in(SISTER, 2, "e1000e")).audit("6.1");
        assertThat(audit.devices()).allMatch(device -> device.assignable() == Answer.YES);
        assertThat(audit.groups()).allMatch(group -> group.viable() == Answer.NO);
    }

    @Test
    void aDriverThatNoInputTellsLeavesItsSistersOpenAndNotItself() throws IOException {
        Audit audit = host(in(CARD, 1, ""), in(SISTER, 1, "vfio-pci")).audit("6.1");
        assertThat(Hosts.device(audit, "00:03.1").assignable()).isEqualTo(Answer.UNKNOWN);
        assertThat(Hosts.device(audit, "00:03.1").assignableWithGroup()).isEqualTo(Answer.YES);
        assertThat(obstacles(audit, "00:03.1")).containsExactly("the driver of 0000:00:03.0 is unknown");
        assertThat(Hosts.device(audit, "00:03.0").assignable()).isEqualTo(Answer.YES);
        AuditedGroup group = audit.groups().get(0);
        assertThat(group.viable()).isEqualTo(Answer.UNKNOWN);
        assertThat(group.blame()).extracting(Reason::text).containsExactly("the driver of 0000:00:03.0 is unknown");
    }

    /** Known obstacles are named, and no open question beside them: it would not change the answer. */
    @Test
    void whatIsKnownToStandAgainstADeviceIsNamedWithoutOpenQuestions() throws IOException {
        String third = "00:03.2 Ethernet controller [0200]: Maker Card [1234:0003]";
        vendor.has("00:03.2", "v0", Answer.YES);
        Audit audit = host(in(CARD, 1, "vfio-pci"), in(SISTER, 1, "e1000e"), in(third, 1, ""))
                .audit("6.1");
        assertThat(obstacles(audit, "00:03.0")).containsExactly("0000:00:03.1 of the same group is bound to e1000e");
        assertThat(audit.groups().get(0).viable()).isEqualTo(Answer.NO);
        assertThat(audit.groups().get(0).blame()).hasSize(1);
    }

    @Test
    void aFunctionWithoutADriverStandsAgainstNobody() throws IOException {
        Path devices = folder.resolve("sys/bus/pci/devices");
        Files.createDirectories(folder.resolve("sys/bus/pci/drivers"));
        for (String function : List.of("0000:00:03.0", "0000:00:03.1")) {
            Path device = Files.createDirectories(devices.resolve(function));
            Files.writeString(device.resolve("class"), "0x020000\n");
            Files.createDirectories(folder.resolve("sys/kernel/iommu_groups/1/devices/" + function));
            Files.createSymbolicLink(device.resolve("iommu_group"), Path.of("../../../../kernel/iommu_groups/1"));
        }
        Audit audit = new Hosts(folder)
                .vendors(vendor)
                .tree(folder)
                .text("dmesg.txt", Hosts.LOG)
                .audit("6.1");
        assertThat(audit.devices()).hasSize(2).allMatch(device -> device.assignable() == Answer.YES);
        assertThat(audit.groups().get(0).viable()).isEqualTo(Answer.YES);
        assertThat(audit.groups().get(0).blame()).isEmpty();
    }

    /** Linux has counted drivers of bridges since a group is claimed from its drivers; VFIO passed bridges over. */
    @ParameterizedTest
    @CsvSource({
        "5.15, yenta_cardbus, YES",
        "5.18, shpchp, YES",
        "5.19-posted, shpchp, YES",
        "5.19, shpchp, NO",
        "6.1, yenta_cardbus, NO",
        "7.1, shpchp, NO",
        "5.19, pcieport, YES",
        "7.1, pcieport, YES",
        "5.18, '', YES",
        "6.1, '', UNKNOWN"
    })
    void aBridgesDriverStandsAgainstItsGroupSince519UnlessItLeavesDmaAlone(
            String release, String driver, Answer assignable) throws IOException {
        Audit audit = host(in(BRIDGE, 1, driver), in(BEHIND, 1, "vfio-pci")).audit(release);
        assertThat(Hosts.device(audit, "05:00.0").assignable()).isEqualTo(assignable);
        assertThat(audit.groups().get(0).viable()).isEqualTo(assignable);
        if (assignable == Answer.NO) {
            assertThat(obstacles(audit, "05:00.0"))
                    .containsExactly("0000:00:1e.0 of the same group is bound to " + driver);
            assertThat(audit.groups().get(0).blame())
                    .extracting(Reason::text)
                    .containsExactly("0000:00:1e.0 of the same group is bound to " + driver);
            assertThat(Hosts.device(audit, "05:00.0").hints())
                    .extracting(Reason::text)
                    .containsExactly("unbind the bridge 0000:00:1e.0 of group 1 from its driver");
        } else {
            assertThat(Hosts.device(audit, "05:00.0").hints()).isEmpty();
        }
    }

    @ParameterizedTest
    @CsvSource({
        "5.18, Linux vfio_dev_viable (until 5.18)",
        "5.19-posted, Linux vfio_dev_viable (until 5.18)",
        "5.19, Linux iommu_device_use_default_domain",
        "7.1, Linux iommu_device_use_default_domain"
    })
    void theFunctionThatFindsADriverInTheWayIsTheReleases(String release, String source) throws IOException {
        Audit audit = host(in(CARD, 1, "vfio-pci"), in(SISTER, 1, "e1000e")).audit(release);
        assertThat(Hosts.device(audit, "00:03.0").obstacles())
                .extracting(Reason::source)
                .containsExactly(source);
    }

    // --- what no guest gets ---

    @Test
    void aBridgeIsNeverAssigned() throws IOException {
        Audit audit = host(in(BRIDGE, 1, "pcieport")).audit("6.1");
        AuditedDevice bridge = Hosts.device(audit, "00:1e.0");
        assertThat(bridge.assignable()).isEqualTo(Answer.NO);
        assertThat(bridge.assignableWithGroup()).isEqualTo(Answer.NO);
        assertThat(obstacles(audit, "00:1e.0")).containsExactly("it is a bridge");
        assertThat(audit.candidates()).isEmpty();
        assertThat(audit.overall()).isEqualTo(Guest.UNKNOWN);
    }

    @Test
    void anIommuIsNeverAssignedAndNobodyIsAskedToComeAlong() throws IOException {
        String unit = "00:03.0 IOMMU [0806]: Maker Unit [1234:0003]";
        Audit audit = host(in(unit, 1, ""), in(SISTER, 1, "e1000e")).audit("6.1");
        assertThat(obstacles(audit, "00:03.0")).containsExactly("it is an IOMMU");
        assertThat(Hosts.device(audit, "00:03.0").assignableWithGroup()).isEqualTo(Answer.NO);
        assertThat(Hosts.device(audit, "00:03.0").hints()).isEmpty();
    }

    @Test
    void nothingIsAssignedWhereNoIommuIsInUseAndNobodyIsAskedToComeAlong() throws IOException {
        Audit audit = new Hosts(folder)
                .vendors(vendor)
                .text("dmesg.txt", "Linux version 6.1.0-9-amd64 (x@y) #1\nRun /init as init process\n")
                .lspci(in(CARD, 1, "vfio-pci"), in(SISTER, 1, "e1000e"))
                .audit("6.1");
        assertThat(audit.iommuInUse()).isEqualTo(Answer.NO);
        assertThat(obstacles(audit, "00:03.0")).containsExactly("no IOMMU is in use on this host");
        assertThat(Hosts.device(audit, "00:03.0").assignableWithGroup()).isEqualTo(Answer.NO);
        assertThat(audit.devices()).allMatch(device -> device.hints().isEmpty());
    }

    @Test
    void whatNoUnitTranslatesForIsNotAssignedAndNobodyIsAskedToComeAlong() throws IOException {
        vendor.hasNot("00:03.0");
        Audit audit = host(in(CARD, 1, "vfio-pci"), in(SISTER, 1, "e1000e")).audit("6.1");
        assertThat(obstacles(audit, "00:03.0")).containsExactly("no IOMMU translates for it");
        assertThat(Hosts.device(audit, "00:03.0").obstacles())
                .extracting(Reason::source)
                .containsExactly("v manual");
        assertThat(Hosts.device(audit, "00:03.0").assignableWithGroup()).isEqualTo(Answer.NO);
        assertThat(Hosts.device(audit, "00:03.0").hints()).isEmpty();
    }

    @Test
    void whatMayBeTranslatedIsOpen() throws IOException {
        vendor.isUnsureOf("00:03.0");
        Audit audit = host(in(CARD, 1, "vfio-pci")).audit("6.1");
        assertThat(Hosts.device(audit, "00:03.0").assignable()).isEqualTo(Answer.UNKNOWN);
        assertThat(Hosts.device(audit, "00:03.0").assignableWithGroup()).isEqualTo(Answer.UNKNOWN);
        assertThat(obstacles(audit, "00:03.0")).contains("it is unknown whether an IOMMU translates for it");
    }

    @Test
    void aFunctionWhoseGroupNoInputTellsIsOpen() throws IOException {
        Audit audit = host(Hosts.function(CARD), in(SISTER, 1, "vfio-pci")).audit("6.1");
        assertThat(Hosts.device(audit, "00:03.0").assignable()).isEqualTo(Answer.UNKNOWN);
        assertThat(Hosts.device(audit, "00:03.0").assignableWithGroup()).isEqualTo(Answer.UNKNOWN);
        assertThat(obstacles(audit, "00:03.0")).containsExactly("its group is unknown");
        assertThat(Hosts.device(audit, "00:03.0").group()).isEmpty();
        assertThat(Hosts.device(audit, "00:03.1").group()).hasValue(1);
    }

    // --- interrupts ---

    @ParameterizedTest
    @CsvSource({
        "on, YES, YES",
        "on, NO, YES",
        "on, UNKNOWN, YES",
        "off, YES, NO",
        "off, UNKNOWN, NO",
        "unknown, YES, UNKNOWN",
        "unknown, NO, NO",
        "unknown, UNKNOWN, UNKNOWN"
    })
    void interruptsThatLinuxDoesNotRemapStandAgainstADevice(String linux, Answer hardware, Answer assignable)
            throws IOException {
        vendor.says("00:03.0", Answer.YES, "v0", Answer.YES, List.of(), hardware);
        Audit audit = interrupts(linux, "").audit("6.1");
        AuditedDevice card = Hosts.device(audit, "00:03.0");
        assertThat(card.assignable()).isEqualTo(assignable);
        assertThat(card.assignableWithGroup()).isEqualTo(assignable);
        if (assignable == Answer.NO) {
            assertThat(obstacles(audit, "00:03.0")).containsExactly("interrupts are not remapped");
        } else if (assignable == Answer.UNKNOWN) {
            assertThat(obstacles(audit, "00:03.0")).containsExactly("it is unknown whether Linux remaps interrupts");
        }
        assertThat(Hosts.device(
                                interrupts(linux, "Kernel command line: vfio_iommu_type1.allow_unsafe_interrupts=1\n")
                                        .audit("6.1"),
                                "00:03.0")
                        .assignable())
                .as("allowed to be unsafe")
                .isEqualTo(Answer.YES);
    }

    private Hosts interrupts(String linux, String commandLine) throws IOException {
        String log = "Linux version 6.1.0-9-amd64 (x@y) #1\n" + commandLine
                + switch (linux) {
                    case "on" -> "DMAR-IR: Enabled IRQ remapping in x2apic mode\n";
                    case "off" ->
                        "DMAR-IR: Failed to enable irq remapping. You are vulnerable to irq-injection attacks.\n";
                    default -> "DMAR: IOMMU enabled\n";
                };
        return new Hosts(folder).vendors(vendor).lspci(in(CARD, 1, "vfio-pci")).text("dmesg.txt", log);
    }

    // --- memory that stays mapped one to one ---

    @ParameterizedTest
    @CsvSource({"6.5, false, YES", "6.5, true, NO", "6.6, false, NO", "6.6, true, NO", "5.15, true, NO"})
    void directMemoryOfAnyFunctionOfTheGroupIsInTheWayOfAll(String release, boolean lock, Answer assignable)
            throws IOException {
        vendor.has("00:03.1", "v0", Answer.YES, Regions.MSI, Regions.DIRECT, Regions.RELAXABLE);
        if (lock) {
            vendor.keepsDirectDevices();
        }
        Audit audit = host(in(CARD, 1, "vfio-pci"), in(SISTER, 1, "vfio-pci")).audit(release);
        for (String device : List.of("00:03.0", "00:03.1")) {
            assertThat(Hosts.device(audit, device).assignable()).isEqualTo(assignable);
            assertThat(Hosts.device(audit, device).assignableWithGroup()).isEqualTo(assignable);
        }
        if (assignable == Answer.NO) {
            assertThat(obstacles(audit, "00:03.0"))
                    .singleElement()
                    .asString()
                    .startsWith("0000:00:03.1 needs memory 0x7a000000 to 0x7affffff mapped one to one");
            assertThat(Hosts.device(audit, "00:03.0").obstacles().get(0).source())
                    .isEqualTo(release.equals("6.6") ? "Linux iommu_group require_direct (6.6)" : "v_lock");
        }
    }

    @Test
    void directMemoryOfAnotherGroupIsInNobodysWay() throws IOException {
        vendor.has("00:03.1", "v0", Answer.YES, Regions.DIRECT);
        Audit audit = host(in(CARD, 1, "vfio-pci"), in(SISTER, 2, "vfio-pci")).audit("6.6");
        assertThat(Hosts.device(audit, "00:03.0").assignable()).isEqualTo(Answer.YES);
        assertThat(Hosts.device(audit, "00:03.1").assignable()).isEqualTo(Answer.NO);
        assertThat(audit.candidates()).hasSize(1);
    }

    @Test
    void reservedMemoryThatNobodyTellsIsOpenWhereItWouldMatter() throws IOException {
        vendor.says("00:03.1", Answer.YES, "v0", Answer.YES, null, Answer.YES);
        Hosts host = host(in(CARD, 1, "vfio-pci"), in(SISTER, 1, "vfio-pci"));
        Audit audit = host.audit("6.6");
        assertThat(Hosts.device(audit, "00:03.0").assignable()).isEqualTo(Answer.UNKNOWN);
        assertThat(obstacles(audit, "00:03.0")).containsExactly("the reserved regions of 0000:00:03.1 are unknown");
        assertThat(Hosts.device(host.audit("6.5"), "00:03.0").assignable())
                .as("nobody keeps such a device before 6.6 but a driver")
                .isEqualTo(Answer.YES);
    }
}
