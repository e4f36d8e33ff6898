// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.iommu4j.host.InputException;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What a guest with a device takes from the host, in words. */
class PassthroughTest {
    private static final String PORT =
            Hosts.port("00:01.0 PCI bridge [0604]: Maker Port [1234:0002]", "Root Port (Slot+)", "02", "03");
    private static final String CARD =
            Hosts.function("02:00.0 VGA compatible controller [0300]: Maker Card [1234:0003]");
    private static final String SOUND = Hosts.function("02:00.1 Audio device [0403]: Maker Sound [1234:0004]");
    private static final String DISK = Hosts.function("03:00.0 SATA controller [0106]: Maker Disk [1234:0005]");
    private static final String RESETS = "\tCapabilities: [90] Express (v2) Endpoint, MSI 00\n"
            + "\t\tDevCap:\tMaxPayload 256 bytes, PhantFunc 0\n\t\t\tExtTag+ AttnBtn- RBE+ FLReset";

    @TempDir
    private Path folder;

    private final MadeUpVendor vendor = new MadeUpVendor("v");

    private Audit audit(String... functions) throws IOException {
        return new Hosts(folder)
                .vendors(vendor)
                .lspci(functions)
                .text("dmesg.txt", Hosts.LOG)
                .audit("6.6");
    }

    private static String line(Audit audit, String device, String label) {
        return new Passthrough(audit)
                .of(Hosts.device(audit, device)).stream()
                        .filter(line -> line.label().equals(label))
                        .findFirst()
                        .map(Line::text)
                        .orElse("");
    }

    private static String in(int group) {
        return Hosts.in(group, "");
    }

    @Test
    void aDeviceAloneInItsGroupTakesNothingElse() throws IOException {
        Audit audit = audit(CARD + Hosts.in(7, "vfio-pci"));
        assertThat(line(audit, "02:00.0", "group")).isEqualTo("group 7 has 02:00.0 alone");
        assertThat(line(audit, "02:00.0", "host loses")).isEmpty();
        assertThat(line(audit, "02:00.0", "drivers")).isEqualTo("none of the host is in the way");
        assertThat(line(audit, "02:00.0", "isolation")).isEqualTo("Linux found the group isolated from the others");
    }

    @Test
    void whoGoesAlongIsNamedAndBridgesStay() throws IOException {
        Audit audit = audit(PORT + in(1), CARD + Hosts.in(1, "nouveau"), SOUND + in(1), DISK + Hosts.in(1, "ahci"));
        assertThat(line(audit, "02:00.0", "group"))
                .isEqualTo("group 1 has 3 more: 02:00.1 Audio device, 03:00.0 SATA controller; 00:01.0 is a bridge and"
                        + " stays. 02:00.1 is of the same device");
        assertThat(line(audit, "02:00.0", "host loses"))
                .isEqualTo("VFIO takes 02:00.0 only when each of the 3 is without a driver or with vfio-pci: the host"
                        + " loses them all while the guest runs");
        assertThat(line(audit, "02:00.0", "drivers"))
                .startsWith("02:00.0 has nouveau, 03:00.0 has ahci: in the way")
                .endsWith("of 02:00.1 unknown. Settle it: lspci -nnk -s 0000:02:00.1");
        assertThat(line(audit, "02:00.0", "isolation")).startsWith("none within the group");
        assertThat(line(audit, "02:00.0", "ids")).isEqualTo("vfio-pci.ids=1234:0003,1234:0004");
    }

    @Test
    void idsThatAnotherDeviceHasTooTakeItAsWell() throws IOException {
        Audit audit = audit(CARD + in(1), CARD.replace("02:00.0", "04:00.0") + in(2));
        assertThat(line(audit, "02:00.0", "ids")).isEqualTo("vfio-pci.ids=1234:0003, which also takes 04:00.0");
    }

    /** A kernel without the patch ignores the parameter, and says so since 5.14. */
    @Test
    void anOverrideThatTheKernelDoesNotKnowSplitsNoGroup() throws IOException {
        String given = "Kernel command line: pcie_acs_override=downstream\n";
        for (String start :
                new String[] {"Unknown kernel command line parameters \"", "Unknown command line parameters: "}) {
            Audit audit = new Hosts(folder)
                    .lspci(Hosts.function("02:00.0 VGA compatible controller: Maker Card") + Hosts.in(1, "vfio-pci"))
                    .text("dmesg.txt", Hosts.LOG + given + start + "secret=1 pcie_acs_override=downstream\"\n")
                    .audit("6.6");
            assertThat(audit.groups())
                    .singleElement()
                    .satisfies(group -> assertThat(group.doubt()).isNull());
        }
    }

    @Test
    void theOverrideOfAcsMakesNoIsolation() throws IOException {
        Audit audit = new Hosts(folder)
                .lspci(CARD + in(1))
                .text("dmesg.txt", Hosts.LOG + "Kernel command line: pcie_acs_override=downstream\n")
                .audit("6.6");
        assertThat(line(audit, "02:00.0", "isolation"))
                .startsWith("not real: pcie_acs_override is on the command line");
    }

    @ParameterizedTest
    @CsvSource({
        "+, possible: the function by itself (FLR)",
        "-, 'not the function by itself (no FLR); other ways are unknown. Settle it: cat "
                + "/sys/bus/pci/devices/0000:02:00.0/reset_method'"
    })
    void whetherItCanBeResetIsTakenFromItsCapabilities(String bit, String words) throws IOException {
        assertThat(line(audit(CARD + RESETS + bit + "\n" + in(1)), "02:00.0", "reset"))
                .isEqualTo(words);
    }

    @Test
    void whatIsNotKnownEndsWithTheCommandThatShowsIt() throws IOException {
        Audit audit = audit("02:00.0 VGA compatible controller: Maker Card\n");
        assertThat(line(audit, "02:00.0", "group"))
                .isEqualTo("its group is unknown. Settle it: readlink /sys/bus/pci/devices/0000:02:00.0/iommu_group");
        assertThat(line(audit, "02:00.0", "drivers"))
                .isEqualTo("of 02:00.0 unknown. Settle it: lspci -nnk -s 0000:02:00.0");
        assertThat(line(audit, "02:00.0", "ids")).isEqualTo("unknown. Settle it: lspci -nn -s 0000:02:00.0");
    }

    @Test
    void everyDeviceThatPeopleAssignHasItsLineAndAGroupIsDescribedOnce() throws IOException {
        String network = Hosts.function("04:00.0 Ethernet controller [0200]: Maker Net [1234:0006]");
        List<Line> lines = new Passthrough(
                        audit(PORT + in(1), CARD + in(1), SOUND + in(1), DISK + in(2), network + in(1)))
                .all(false);
        assertThat(lines).extracting(Line::label).containsExactly("02:00.0", "04:00.0");
        assertThat(lines.get(1).text()).isEqualTo("Ethernet controller: group 1, see 02:00.0; ids 1234:0006");
    }

    @Test
    void ofManyDevicesTheFirstAreShown() throws IOException {
        String[] functions = new String[30];
        for (int i = 0; i < functions.length; i++) {
            functions[i] =
                    Hosts.function(String.format("%02x:00.0 Ethernet controller [0200]: Maker Net [1234:0006]", i))
                            + in(i);
        }
        Audit audit = audit(functions);
        assertThat(new Passthrough(audit).all(false))
                .hasSize(25)
                .last()
                .satisfies(line -> assertThat(line.label()).isEqualTo("and 6 more"));
        assertThat(new Passthrough(audit).all(true)).hasSize(30);
    }

    @ParameterizedTest
    @CsvSource({
        "VGA compatible controller [0300], GRAPHICS",
        "3D controller [0302], GRAPHICS",
        "Ethernet controller [0200], NETWORK",
        "Network controller [0280], NETWORK",
        "Non-Volatile memory controller [0108], NVME",
        "USB controller [0c03], USB",
        "SATA controller [0106], "
    })
    void kindsAreOfTheClass(String title, DeviceKind kind) throws IOException {
        Audit audit = audit(Hosts.function("02:00.0 " + title + ": Maker Card [1234:0003]") + in(1));
        assertThat(DeviceKind.of(Hosts.device(audit, "02:00.0")).orElse(null)).isEqualTo(kind);
    }

    @Test
    void aSelectionIsItsDevicesAndWhatGoesAlong() throws IOException {
        vendor.unit("v0", Answer.YES, Answer.YES)
                .unit("v1", Answer.NO, Answer.NO)
                .has("02:00.0", "v0", Answer.YES)
                .has("02:00.1", "v0", Answer.YES)
                .has("03:00.0", "v1", Answer.NO);
        Audit audit = audit(CARD + in(1), SOUND + in(1), DISK + in(2));
        assertThat(audit.overall()).isEqualTo(Guest.NONCOHERENT);
        Audit graphics = audit.only(new Selection(Set.of(DeviceKind.GRAPHICS), Set.of()));
        assertThat(graphics.devices())
                .extracting(device -> Passthrough.brief(device.address()))
                .containsExactly("02:00.0", "02:00.1");
        assertThat(graphics.groups()).extracting(AuditedGroup::id).containsExactly(1);
        assertThat(graphics.overall()).isEqualTo(Guest.COHERENT);
        Audit second = audit.only(new Selection(Set.of(), Set.of(2)));
        assertThat(second.overall()).isEqualTo(Guest.NONCOHERENT);
        assertThat(audit.only(new Selection(Set.of(), Set.of()))).isSameAs(audit);
        Selection none = new Selection(Set.of(DeviceKind.USB), Set.of(9));
        assertThatThrownBy(() -> audit.only(none))
                .isInstanceOf(InputException.class)
                .hasMessage("the input has no device of USB, group 9");
    }

    // --- commands ---

    @ParameterizedTest
    @CsvSource({
        "the driver of 0000:03:00.1 is unknown, lspci -nnk -s 0000:03:00.1",
        "its group is unknown, readlink /sys/bus/pci/devices/0000:02:00.0/iommu_group",
        "groups are unknown: no input lists them, find /sys/kernel/iommu_groups -type l",
        "Enable No Snoop is unknown for 1 functions: 0000:04:00.0, sudo lspci -vv -s 0000:04:00.0 | grep NoSnoop",
        "the host's kernel release is unknown: newest rules, uname -r"
    })
    void whatIsOpenEndsWithOneCommand(String sentence, String command) {
        assertThat(Question.settled(sentence, PciAddress.parse("02:00.0")))
                .isEqualTo(sentence + ". Settle it: " + command);
    }

    @Test
    void whatIsDecidedHasNoCommand() {
        assertThat(Question.settled("dmar0 is ignored", null)).isEqualTo("dmar0 is ignored");
        assertThat(Question.settled("its group is unknown", null))
                .as("of which?")
                .isEqualTo("its group is unknown");
    }

    @Test
    void anUnknownVerdictIsFollowedByTheCommandThatSettlesMostOfIt() throws IOException {
        assertThat(Headline.lines(
                        new Hosts(folder).vendors().lspci(CARD + in(1)).audit("6.6")))
                .contains(new Line("settle it", "sudo dmesg | grep -e DMAR -e AMD-Vi -e iommu"));
        vendor.unit("v0", Answer.YES, Answer.YES).isUnsureOf("02:00.0");
        assertThat(Headline.lines(audit(CARD + in(1))))
                .contains(new Line("settle it", "ls -d /sys/class/iommu/*/devices/*"));
    }

    @Test
    void theChipsetIsOneLine() throws IOException {
        vendor.unit("v0", Answer.YES, Answer.YES).has("00:1f.4", "v0", Answer.YES);
        Audit audit = audit(
                PORT + in(1), CARD + in(1), Hosts.function("00:1f.4 SMBus [0c05]: Maker Bus [1234:0007]") + in(2));
        assertThat(Headline.chipset(audit)).isEqualTo("and 2 of the chipset (PCI bridge, SMBus): 1 COHERENT");
        assertThat(Headline.chipset(audit(CARD + in(1)))).isEmpty();
    }
}
