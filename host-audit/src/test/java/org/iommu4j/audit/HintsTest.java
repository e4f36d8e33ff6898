// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.CoherencyRule;
import org.iommu4j.spi.KernelParameter.Effect;
import org.iommu4j.spi.Reason;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What the audit advises, and where it must not: every hint has a host that gets it and the nearest host that does not.
 */
class HintsTest {
    private static final String HOST_BRIDGE = Hosts.function("00:00.0 Host bridge [0600]: Maker Host [1234:0001]");
    private static final String PORT =
            Hosts.port("00:01.0 PCI bridge [0604]: Maker Port [1234:0002]", "Root Port (Slot+)", "02", "02");
    private static final String NEWER = "run Linux 5.19 or newer: there only the device's own unit, v1, decides";
    private static final String OTHER_SLOT = "put the card into a slot behind v1, which can block no-snoop";
    private static final String CLEAR = "clear Enable No Snoop (setpci -s BDF CAP_EXP+8.w=0:0800)";
    private static final String OFF = "Enable No Snoop is off: the device must not send no-snoop until the bit is set";
    private static final String BOOT = "Linux version 6.1.0-9-amd64 (x@y) #1\n";

    @TempDir
    private Path folder;

    private final MadeUpVendor vendor = new MadeUpVendor("v")
            .unit("v0", Answer.NO, Answer.NO)
            .unit("v1", Answer.YES, Answer.YES)
            .has("00:00.0", "v1", Answer.YES)
            .has("00:01.0", "v1", Answer.YES)
            .has("00:02.0", "v0", Answer.NO)
            .has("02:00.0", "v0", Answer.NO);

    private static String integrated(boolean noSnoop) {
        return Hosts.express(
                "00:02.0 VGA compatible controller [0300]: Maker Graphics [1234:0003]",
                "Root Complex Integrated Endpoint",
                noSnoop);
    }

    private static String card(boolean noSnoop) {
        return Hosts.express("02:00.0 Ethernet controller [0200]: Maker Card [1234:0004]", "Endpoint", noSnoop);
    }

    private Hosts host(String... functions) throws IOException {
        return new Hosts(folder).vendors(vendor).lspci(functions).text("dmesg.txt", Hosts.LOG);
    }

    private List<String> of(String device) throws IOException {
        return texts(Hosts.device(
                        host(HOST_BRIDGE, PORT, integrated(true), card(true)).audit("6.1"), device)
                .hints());
    }

    private static List<String> texts(List<Reason> hints) {
        return hints.stream().map(Reason::text).toList();
    }

    // --- what can be done about a device ---

    @Test
    void aCardIsPutBehindTheUnitThatBlocksNoSnoop() throws IOException {
        assertThat(of("02:00.0"))
                .satisfiesExactly(
                        first -> assertThat(first).isEqualTo(OTHER_SLOT),
                        second -> assertThat(second).startsWith(CLEAR));
    }

    @Test
    void whatIsPartOfTheChipsetStaysWhereItIs() throws IOException {
        assertThat(of("00:02.0"))
                .satisfiesExactly(
                        first -> assertThat(first)
                                .startsWith("the device is part of the chipset or processor and can't leave v0;")
                                .endsWith("in a slot behind v1, which can block no-snoop"),
                        second -> assertThat(second).startsWith(CLEAR));
    }

    @Test
    void aDeviceThatLeavesItsGuestCoherentNeedsNothing() throws IOException {
        vendor.has("02:00.0", "v1", Answer.YES);
        assertThat(of("02:00.0")).isEmpty();
    }

    @Test
    void aDeviceOfWhichItIsNotKnownWhetherItsGuestIsCoherentGetsNoAdvice() throws IOException {
        vendor.has("02:00.0", "v0", Answer.UNKNOWN);
        assertThat(of("02:00.0")).isEmpty();
    }

    @ParameterizedTest
    @EnumSource(
            value = Answer.class,
            names = {"NO", "UNKNOWN"})
    void aDeviceThatNoUnitIsKnownToTranslateForGetsNoAdvice(Answer translated) throws IOException {
        vendor.says("02:00.0", translated, "v0", Answer.NO, List.of(), Answer.YES);
        assertThat(of("02:00.0")).isEmpty();
    }

    @Test
    void aBridgeGetsNoAdvice() throws IOException {
        vendor.has("00:01.0", "v0", Answer.NO);
        assertThat(of("00:01.0")).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({"NO, YES", "UNKNOWN, YES", "YES, NO", "YES, UNKNOWN"})
    void noSlotIsAdvisedBehindAUnitThatIsNotKnownToBlockNoSnoopOrToHaveAllSlots(Answer blocks, Answer includeAll)
            throws IOException {
        MadeUpVendor other = new MadeUpVendor("v")
                .unit("v0", Answer.NO, Answer.NO)
                .unit("v1", blocks, includeAll)
                .has("02:00.0", "v0", Answer.NO);
        Audit audit = new Hosts(folder)
                .vendors(other)
                .lspci(HOST_BRIDGE, PORT, card(true))
                .text("dmesg.txt", Hosts.LOG)
                .audit("6.1");
        assertThat(texts(Hosts.device(audit, "02:00.0").hints()))
                .singleElement()
                .asString()
                .startsWith(CLEAR);
    }

    /** The unit that blocks is the device's own: a rule that asks more than it is to blame, and no slot is better. */
    @ParameterizedTest
    @EnumSource(CoherencyRule.class)
    void aNewerLinuxIsAdvisedWhereOtherUnitsDecideAndNoOtherSlot(CoherencyRule rule) throws IOException {
        vendor.rule(rule).has("02:00.0", "v1", Answer.NO);
        if (rule == CoherencyRule.PER_MACHINE) {
            assertThat(of("02:00.0")).first().isEqualTo(NEWER);
        } else {
            assertThat(of("02:00.0")).doesNotContain(NEWER);
        }
        assertThat(of("02:00.0")).noneMatch(hint -> hint.contains("slot"));
    }

    /**
     * Where every unit of the machine must block, another slot changes nothing, nor a newer Linux for a unit that
     * can't.
     */
    @Test
    void whereAllUnitsDecideNeitherASlotNorANewerLinuxHelpsADeviceBehindTheUnitThatCannot() throws IOException {
        vendor.rule(CoherencyRule.PER_MACHINE);
        assertThat(of("02:00.0")).singleElement().asString().startsWith(CLEAR);
    }

    @Test
    void noSlotIsAdvisedWhereItIsNotKnownWhichBridgeIsAbove() throws IOException {
        MadeUpVendor one =
                new MadeUpVendor("v").unit("v1", Answer.YES, Answer.YES).has("02:00.0", "elsewhere", Answer.NO);
        Audit audit = new Hosts(folder)
                .vendors(one)
                .lspci(HOST_BRIDGE, "00:01.0 PCI bridge [0604]: Maker Port [1234:0002]\n", card(true))
                .text("dmesg.txt", Hosts.LOG)
                .audit("6.1");
        assertThat(texts(Hosts.device(audit, "02:00.0").hints()))
                .noneMatch(hint -> hint.contains("slot") || hint.contains("chipset"));
    }

    @Test
    void enableNoSnoopThatIsOffIsNoReasonToClearIt() throws IOException {
        Audit audit = host(HOST_BRIDGE, PORT, card(false)).audit("6.1");
        assertThat(texts(Hosts.device(audit, "02:00.0").hints()))
                .satisfiesExactly(
                        first -> assertThat(first).isEqualTo(OTHER_SLOT),
                        second -> assertThat(second).startsWith(OFF));
    }

    @Test
    void whereEnableNoSnoopIsNotKnownNothingIsSaidOfIt() throws IOException {
        Audit audit = host(
                        HOST_BRIDGE, PORT, Hosts.function("02:00.0 Ethernet controller [0200]: Maker Card [1234:0004]"))
                .audit("6.1");
        assertThat(texts(Hosts.device(audit, "02:00.0").hints())).containsExactly(OTHER_SLOT);
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void ofAVirtualFunctionThePhysicalOnesBitIsClearedAndOnlyWhereItIsOn(boolean on) throws IOException {
        String sriov = """
                \tCapabilities: [160 v1] Single Root I/O Virtualization (SR-IOV)
                \t\tIOVCap:\tMigration- 10BitTagReq- IntMsgNum 0
                \t\tIOVCtl:\tEnable+ Migration- Interrupt- MSE+ ARIHierarchy-
                \t\tInitial VFs: 8, Total VFs: 8, Number of VFs: 2, Function Dependency Link: 00
                \t\tVF offset: 16, stride: 1, Device ID: 0010
                """;
        vendor.has("02:02.0", "v0", Answer.NO);
        Audit audit = host(
                        HOST_BRIDGE,
                        PORT,
                        card(on) + sriov,
                        Hosts.express("02:02.0 Ethernet controller [0200]: Maker VF [1234:0010]", "Endpoint", !on))
                .audit("6.1");
        List<String> hints = texts(Hosts.device(audit, "02:02.0").hints());
        assertThat(hints).first().isEqualTo(OTHER_SLOT);
        if (on) {
            assertThat(hints)
                    .hasSize(2)
                    .last()
                    .asString()
                    .startsWith("clear Enable No Snoop of 0000:02:00.0 (setpci -s 0000:02:00.0 CAP_EXP+8.w=0:0800)")
                    .contains("can\'t set the bit");
        } else {
            assertThat(hints).hasSize(1);
        }
    }

    // --- what can be done about a group ---

    @Test
    void ofAGroupTheBoundFunctionsAreNamedToEachThatIsNotAloneWithADriver() throws IOException {
        vendor.has("00:02.0", "v1", Answer.YES).has("02:00.0", "v1", Answer.YES);
        Audit audit = host(integrated(true) + Hosts.in(4, "vfio-pci"), card(true) + Hosts.in(4, "e1000e"))
                .audit("6.1");
        assertThat(texts(Hosts.device(audit, "00:02.0").hints()))
                .containsExactly("assign 0000:02:00.0 of group 4 to the same guest as well, or unbind from the driver");
        assertThat(Hosts.device(audit, "02:00.0").hints())
                .as("its own driver is unbound anyhow")
                .isEmpty();
    }

    // --- what can be done about the host ---

    private List<String> ofHost(String log, String... commandLine) throws IOException {
        String line = commandLine.length == 0 ? "" : "Kernel command line: " + commandLine[0] + "\n";
        return texts(new Hosts(folder)
                .vendors(vendor)
                .lspci(card(true))
                .text("dmesg.txt", BOOT + line + log)
                .audit("6.1")
                .hints());
    }

    private static final String NOT_USED = "Run /init as init process\n";
    private static final String USED = """
            DMAR: Intel(R) Virtualization Technology for Directed I/O
            DMAR-IR: Enabled IRQ remapping in x2apic mode
            """;
    private static final String NOT_REMAPPED = """
            DMAR: Intel(R) Virtualization Technology for Directed I/O
            DMAR-IR: Failed to enable irq remapping. You are vulnerable to irq-injection attacks.
            """;

    @BeforeEach
    void parametersOfTheVendor() {
        vendor.parameter("v_iommu", "on", Effect.ENABLES)
                .parameter("v_iommu", "off", Effect.DISABLES)
                .parameter("v_iommu", "few", Effect.DISABLES_SOME)
                .parameter("v_iommu", "lie", Effect.FALSE_PROMISE);
    }

    @Test
    void whereTheIommuIsNotUsedWhatTurnsItOnIsAdvised() throws IOException {
        assertThat(ofHost(NOT_USED)).containsExactly("boot with v_iommu=on: it does ENABLES");
        assertThat(ofHost(NOT_USED, "quiet")).containsExactly("boot with v_iommu=on: it does ENABLES");
        assertThat(ofHost(NOT_USED, "v_iommu=on"))
                .as("it is there, and did not help")
                .isEmpty();
    }

    @Test
    void whereTheIommuIsNotUsedWhatTurnsItOffComesFirst() throws IOException {
        assertThat(ofHost(NOT_USED, "quiet v_iommu=off"))
                .containsExactly("remove v_iommu=off from the kernel's command line: it does DISABLES");
    }

    @Test
    void whatTurnsTheIommuOffIsNamedAlsoWhereNoInputTellsWhetherItIsUsed() throws IOException {
        assertThat(ofHost("", "quiet v_iommu=off"))
                .containsExactly("remove v_iommu=off from the kernel's command line: it does DISABLES");
        assertThat(ofHost("", "quiet")).isEmpty();
    }

    @Test
    void whereTheIommuIsUsedOnlyWhatTurnsAPartOffIsNamed() throws IOException {
        assertThat(ofHost(USED)).isEmpty();
        assertThat(ofHost(USED, "v_iommu=on,lie")).isEmpty();
        assertThat(ofHost(USED, "v_iommu=few"))
                .containsExactly("remove v_iommu=few from the kernel's command line: it does DISABLES_SOME");
        assertThat(ofHost(NOT_USED, "v_iommu=on,few")).as("a part of nothing").isEmpty();
    }

    /**
     * The generic parameter counts before the vendors' own: {@code intel_iommu=on} does not turn units on against it.
     */
    @ParameterizedTest
    @ValueSource(strings = {"intel", "amd", "none"})
    void whatTurnsTheUnitsOfEveryVendorOffIsNamedOnce(String vendors) throws IOException {
        Hosts host = new Hosts(folder);
        switch (vendors) {
            case "intel" -> host.dmar(Hosts.unit(0xfed9_1000L, true));
            case "amd" -> host.ivrs("02:00.0");
            default -> host.lspci(card(true));
        }
        Audit audit = host.text("dmesg.txt", BOOT + "Kernel command line: quiet iommu=off\n" + NOT_USED)
                .audit("6.1");
        assertThat(texts(audit.hints()))
                .filteredOn(hint -> !hint.startsWith("which unit has a device"))
                .containsExactly(
                        "remove iommu=off from the kernel's command line: it leaves the units of every vendor off");
    }

    @ParameterizedTest
    @CsvSource({
        "quiet, ",
        "quiet intremap=off, intremap=off",
        "nointremap, nointremap",
        "intremap=off intremap=on, ",
        "intremap=on, "
    })
    void whatTurnsInterruptRemappingOffIsNamedWhereItIsOff(String commandLine, String named) throws IOException {
        List<String> hints = ofHost(NOT_REMAPPED, commandLine);
        assertThat(hints)
                .last()
                .asString()
                .startsWith("set module parameter " + "vfio_iommu_type1.allow_unsafe_interrupts=1");
        if (named == null) {
            assertThat(hints).hasSize(1);
        } else {
            assertThat(hints).hasSize(2).first().isEqualTo("remove " + named + " from the kernel's command line");
        }
        assertThat(ofHost(USED, commandLine)).as("it is on").isEmpty();
    }

    @Test
    void interruptsAreNoMatterWhereTheIommuIsNotUsed() throws IOException {
        assertThat(ofHost(
                        "DMAR-IR: Failed to enable irq remapping. You are vulnerable to irq-injection attacks.\n"
                                + NOT_USED,
                        "v_iommu=on intremap=off"))
                .isEmpty();
    }

    @Test
    void unsafeInterruptsThatAreAllowedAreToBeForbidden() throws IOException {
        assertThat(ofHost(NOT_REMAPPED, "vfio_iommu_type1.allow_unsafe_interrupts=1"))
                .singleElement()
                .asString()
                .startsWith("unset module parameter vfio_iommu_type1.allow_unsafe_interrupts")
                .endsWith("inject any interrupt into the host");
        assertThat(ofHost(USED, "vfio_iommu_type1.allow_unsafe_interrupts=1")).isEmpty();
    }

    @Test
    void whereUnitsAreKnownAndNoDeviceIsTheWayToTheDevicesUnitIsNamed() throws IOException {
        Hosts units = new Hosts(folder).vendors(vendor).text("dmesg.txt", Hosts.LOG + Hosts.UNIT0);
        assertThat(texts(units.audit("6.1").hints()))
                .singleElement()
                .asString()
                .startsWith("to find a device\'s unit, run readlink /sys/bus/pci/devices/BDF/iommu");
        assertThat(units.lspci(card(true)).audit("6.1").hints()).isEmpty();
        assertThat(new Hosts(folder)
                        .vendors(vendor)
                        .text("dmesg.txt", Hosts.LOG)
                        .audit("6.1")
                        .hints())
                .as("no unit either")
                .isEmpty();
    }
}
