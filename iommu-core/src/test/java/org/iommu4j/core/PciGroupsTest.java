// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.iommu4j.core.testvendor.Captures;
import org.iommu4j.core.testvendor.TestFunction;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.pci.PciTopology;
import org.iommu4j.witness.SharedData;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PciGroupsTest {
    private static final int UPSTREAM = 5;
    private static final int DOWNSTREAM = 6;
    private static final int PCIE_TO_PCI = 7;
    private static final int PCI_TO_PCIE = 8;
    private static final int ROOT_COMPLEX_ENDPOINT = 9;
    private static final int EVENT_COLLECTOR = 0xa;

    @Test
    void anEndpointBelowAnIsolatingRootPortIsAlone() {
        assertThat(groups(
                        TestFunction.rootPort("00:01.0").acs(TestFunction.ACS_ALL, TestFunction.ACS_ALL),
                        TestFunction.endpoint("01:00.0").below("00:01.0")))
                .containsExactly("00:01.0", "01:00.0");
    }

    @Test
    void anEndpointBelowARootPortWithoutAcsIsInThePortsGroup() {
        assertThat(groups(
                        TestFunction.rootPort("00:01.0"),
                        TestFunction.endpoint("01:00.0").below("00:01.0")))
                .containsExactly("00:01.0 01:00.0");
    }

    @ParameterizedTest(name = "capability {0}, control {1}: {2}")
    @CsvSource({
        "0x1d, 0x1d, 00:01.0 | 01:00.0",
        "0x1d, 0x1c, 00:01.0 01:00.0",
        "0x1d, 0x19, 00:01.0 01:00.0",
        "0x1d, 0x15, 00:01.0 01:00.0",
        "0x1d, 0x0d, 00:01.0 01:00.0",
        // What the port has not got, counts as wired on.
        "0x0d, 0x0d, 00:01.0 | 01:00.0",
        "0x00, 0x00, 00:01.0 | 01:00.0",
        // Translation blocking and egress control are not asked for.
        "0x7f, 0x1d, 00:01.0 | 01:00.0",
    })
    void eachOfFourAcsControlsIsNeededIfThePortHasIt(String capability, String control, String expected) {
        assertThat(groups(
                        TestFunction.rootPort("00:01.0").acs(Integer.decode(capability), Integer.decode(control)),
                        TestFunction.endpoint("01:00.0").below("00:01.0")))
                .containsExactly(expected.split(" \\| "));
    }

    @Test
    void aSwitchThatDoesNotIsolateMergesWhatIsBelow() {
        assertThat(groups(
                        TestFunction.rootPort("00:01.0").acs(TestFunction.ACS_ALL, TestFunction.ACS_ALL),
                        TestFunction.express("01:00.0", UPSTREAM).below("00:01.0"),
                        TestFunction.express("02:00.0", DOWNSTREAM).below("01:00.0"),
                        TestFunction.express("02:01.0", DOWNSTREAM)
                                .acs(TestFunction.ACS_ALL, TestFunction.ACS_ALL)
                                .below("01:00.0"),
                        TestFunction.endpoint("03:00.0").below("02:00.0"),
                        TestFunction.endpoint("04:00.0").below("02:01.0")))
                .containsExactly("00:01.0", "01:00.0", "02:00.0 03:00.0", "02:01.0", "04:00.0");
    }

    @Test
    void anIsolatingPortBelowOneThatDoesNotIsolateDoesNotHelp() {
        assertThat(groups(
                        TestFunction.rootPort("00:01.0"),
                        TestFunction.express("01:00.0", UPSTREAM).below("00:01.0"),
                        TestFunction.express("02:00.0", DOWNSTREAM)
                                .acs(TestFunction.ACS_ALL, TestFunction.ACS_ALL)
                                .below("01:00.0"),
                        TestFunction.endpoint("03:00.0").below("02:00.0")))
                .containsExactly("00:01.0 01:00.0 02:00.0 03:00.0");
    }

    @ParameterizedTest(name = "type {0}: {1}")
    @CsvSource({
        "0, false",
        "1, false",
        "4, false",
        "5, false",
        "6, false",
        "7, false",
        "8, false",
        "9, false",
        "10, false",
    })
    void functionsOfOneDeviceWithoutAcsAreOneGroupWhateverTheirType(int type, boolean isolated) {
        TestFunction first = TestFunction.express("00:02.0", type).multiFunction();
        TestFunction second = TestFunction.express("00:02.1", type);

        assertThat(new PciNode(first, null).isolated()).isEqualTo(isolated);
        assertThat(groups(first, second)).containsExactly("00:02.0 00:02.1");
    }

    @ParameterizedTest(name = "type {0} alone isolates: {1}")
    @CsvSource({
        "0, true",
        "1, true",
        "4, false",
        "5, true",
        "6, false",
        "7, false",
        "8, false",
        "9, true",
        "10, false",
        "15, true"
    })
    void aSingleFunctionWithoutAcsIsolatesByItsType(int type, boolean isolated) {
        assertThat(new PciNode(TestFunction.express("00:02.0", type), null).isolated())
                .isEqualTo(isolated);
    }

    @Test
    void functionsOfOneDeviceWithAcsAreApart() {
        assertThat(groups(
                        TestFunction.endpoint("00:02.0")
                                .multiFunction()
                                .acs(TestFunction.ACS_ALL, TestFunction.ACS_ALL),
                        TestFunction.endpoint("00:02.1").acs(TestFunction.ACS_ALL, TestFunction.ACS_ALL),
                        TestFunction.express("00:02.2", ROOT_COMPLEX_ENDPOINT)))
                .as("the function without ACS reaches only sisters without")
                .containsExactly("00:02.0", "00:02.1", "00:02.2");
    }

    @Test
    void conventionalFunctionsOfOneDeviceAreOneGroupAndOtherDevicesOnTheRootBusAreNot() {
        assertThat(groups(
                        TestFunction.conventional("00:1f.0").multiFunction(),
                        TestFunction.conventional("00:1f.3"),
                        TestFunction.conventional("00:1e.0")))
                .containsExactly("00:1e.0", "00:1f.0 00:1f.3");
    }

    @Test
    void anEventCollectorIsInTheGroupOfItsSisters() {
        assertThat(groups(
                        TestFunction.express("00:05.0", ROOT_COMPLEX_ENDPOINT).multiFunction(),
                        TestFunction.express("00:05.1", EVENT_COLLECTOR)))
                .containsExactly("00:05.0 00:05.1");
    }

    @Test
    void whatIsBelowABridgeToConventionalPciIsOneGroupWithTheBridge() {
        assertThat(groups(
                        TestFunction.rootPort("00:08.0").acs(TestFunction.ACS_ALL, TestFunction.ACS_ALL),
                        TestFunction.express("03:00.0", PCIE_TO_PCI)
                                .secondaryBus(4)
                                .below("00:08.0"),
                        TestFunction.conventional("04:01.0").below("03:00.0"),
                        TestFunction.conventional("04:02.0").below("03:00.0")))
                .containsExactly("00:08.0", "03:00.0 04:01.0 04:02.0");
    }

    @Test
    void devicesBelowAConventionalBridgeAreOneGroupEvenWhenTheBridgeIsNotTranslated() {
        List<TestFunction> functions = List.of(
                TestFunction.conventional("00:1e.0").secondaryBus(5),
                TestFunction.conventional("05:01.0").below("00:1e.0"),
                TestFunction.conventional("05:02.0").below("00:1e.0"));

        assertThat(groups(functions, address -> true)).containsExactly("00:1e.0 05:01.0 05:02.0");
        assertThat(groups(functions, address -> address.bus() != 0))
                .as("as in Linux, only a bridge that is in a group itself joins what is below it")
                .containsExactly("05:01.0", "05:02.0");
    }

    @Test
    void functionsWithoutTranslationAreInNoGroup() {
        assertThat(groups(
                        List.of(TestFunction.endpoint("00:02.0"), TestFunction.endpoint("00:03.0")),
                        address -> address.device() == 3))
                .containsExactly("00:03.0");
    }

    @Test
    void bridgesThatTakeRequestsOverGiveTheirDevicesASecondId() {
        PciHierarchy hierarchy = new PciHierarchy(TestFunction.topology(
                TestFunction.rootPort("00:08.0").secondaryBus(3),
                TestFunction.express("03:00.0", PCIE_TO_PCI).secondaryBus(4).below("00:08.0"),
                TestFunction.conventional("04:01.0").secondaryBus(5).below("03:00.0"),
                TestFunction.conventional("05:03.0").below("04:01.0"),
                TestFunction.express("05:04.0", PCI_TO_PCIE).secondaryBus(6).below("04:01.0"),
                TestFunction.express("06:00.0", 0).below("05:04.0"),
                TestFunction.conventional("04:00.0").below("03:00.0")));

        assertThat(aliases(hierarchy, "03:00.0")).containsExactly(0x0300);
        assertThat(aliases(hierarchy, "04:01.0")).containsExactly(0x0408, 0x0400);
        assertThat(aliases(hierarchy, "05:03.0")).containsExactly(0x0518, 0x0408, 0x0400);
        assertThat(aliases(hierarchy, "06:00.0")).containsExactly(0x0600, 0x0520, 0x0408, 0x0400);
        assertThat(aliases(hierarchy, "04:00.0"))
                .as("its own id is the bridge's")
                .containsExactly(0x0400);
    }

    @Test
    void acsIsTurnedOnAsFarAsThereAndBlocksTranslatedRequestsOnlyFromOutside() {
        TestFunction inside = TestFunction.rootPort("00:01.0").acs(0x7f, 0);
        TestFunction outside = TestFunction.rootPort("00:02.0").acs(0x0f, 0x40).externalFacingPort();
        TestFunction plugged =
                TestFunction.express("02:00.0", DOWNSTREAM).acs(0x1f, 0).below("00:02.0");
        PciHierarchy hierarchy = new PciHierarchy(TestFunction.topology(inside, outside, plugged));

        hierarchy.enableAcs();

        assertThat(inside.acsControl()).isEqualTo(0x1d);
        assertThat(outside.acsControl()).isEqualTo(0x4f);
        assertThat(hierarchy.find(plugged.address()).orElseThrow().untrusted()).isTrue();
        assertThat(hierarchy.find(outside.address()).orElseThrow().untrusted()).isFalse();
    }

    @Test
    void acsThatIsOffIsolatesAsLinuxWillTurnItOnAndNothingIsWritten() {
        TestFunction port = TestFunction.rootPort("00:01.0").acs(TestFunction.ACS_ALL, 0);
        PciTopology topology = TestFunction.topology(
                port,
                TestFunction.rootPort("00:02.0"),
                TestFunction.endpoint("01:00.0").below("00:01.0"),
                TestFunction.endpoint("02:00.0").below("00:02.0"));

        assertThat(texts(PciIsolation.asSet(topology).groups(address -> true)))
                .containsExactly("00:01.0 01:00.0", "00:02.0 02:00.0");
        PciIsolation on = PciIsolation.withAcsOn(topology);
        assertThat(texts(on.groups(address -> true))).containsExactly("00:01.0", "00:02.0 02:00.0", "01:00.0");
        assertThat(on.isolates(port.address())).isTrue();
        assertThat(on.isolates(PciAddress.parse("00:02.0"))).isFalse();
        assertThat(port.acsControl()).isZero();
    }

    /** Each id by what the quirk asks of the function besides. */
    @ParameterizedTest(name = "{0} of type {1}: {2}")
    @CsvSource({
        // Root ports of the 5 to 9 series; the X79's and the 9 series' have even ids.
        "8086:8c10, 4, true",
        "8086:3b51, 4, true",
        "8086:3b52, 4, false",
        "8086:1d12, 4, true",
        "8086:1d13, 4, false",
        "8086:8c9e, 4, true",
        "8086:8c91, 4, false",
        "1022:8c10, 4, false",
        "8086:8c10, 6, false",
        // Integrated devices of Intel's.
        "8086:2fff, 9, true",
        "1022:2fff, 9, false",
        "8086:2fff, 10, false",
        "8086:2fff, 0, false",
        // Network cards, by their makers' word.
        "8086:1521, 0, true",
        "14e4:16d7, 0, true",
        "14e4:16d8, 0, false",
        // Functions of AMD's south bridges.
        "1022:7809, 0, true",
        "1002:4383, 0, true",
    })
    void linuxKnowsSomeFunctionsToIsolateWithoutAcs(String ids, int type, boolean isolated) {
        int vendor = Integer.parseInt(ids.substring(0, 4), 16);
        int device = Integer.parseInt(ids.substring(5), 16);
        TestFunction function = TestFunction.express("00:14.1", type).ids(vendor, device);

        assertThat(new PciNode(function, null).isolated()).isEqualTo(isolated);
    }

    @Test
    void southBridgesIsolateOnTheRootBusAloneAndThereAlsoWithoutPciExpress() {
        TestFunction function =
                TestFunction.conventional("00:14.0").multiFunction().ids(0x1002, 0x4385);
        PciNode bridge = new PciNode(TestFunction.rootPort("00:01.0"), null);

        assertThat(new PciNode(function, null).isolated()).isTrue();
        assertThat(new PciNode(function, bridge).isolated()).isFalse();
    }

    /** Their control register is a double word behind a double word of capabilities. */
    @Test
    void rootPortsOfThe100SeriesHaveTheirAcsControlFurtherOn() {
        TestFunction port = TestFunction.rootPort("00:1c.0").ids(0x8086, 0xa110).acs(TestFunction.ACS_ALL, 0);
        PciTopology topology =
                TestFunction.topology(port, TestFunction.endpoint("02:00.0").below("00:1c.0"));
        assertThat(texts(PciIsolation.asSet(topology).groups(address -> true))).containsExactly("00:1c.0 02:00.0");

        new PciHierarchy(topology).enableAcs();

        assertThat(port.config().read(0x108, 4)).isEqualTo(TestFunction.ACS_ALL);
        assertThat(port.acsControl()).isZero();
        assertThat(texts(PciIsolation.asSet(topology).groups(address -> true))).containsExactly("00:1c.0", "02:00.0");
    }

    @Test
    void virtualFunctionsOfOneSlotAreApart() {
        assertThat(groups(
                        TestFunction.endpoint("00:02.0").multiFunction(),
                        TestFunction.endpoint("00:02.1").virtualOf("00:02.0"),
                        TestFunction.endpoint("00:02.2").virtualOf("00:02.0")))
                .containsExactly("00:02.0", "00:02.1", "00:02.2");
    }

    @Test
    void aBridgeThatIsNotThereIsNamed() {
        assertThatThrownBy(() -> groups(TestFunction.endpoint("01:00.0").below("00:01.0")))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("PCI function 0000:01:00.0 is below 0000:00:01.0, which does not exist");
    }

    @Test
    void aFunctionBelowItselfIsNamed() {
        assertThatThrownBy(() -> groups(
                        TestFunction.rootPort("00:01.0").below("01:00.0"),
                        TestFunction.endpoint("01:00.0").below("00:01.0")))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("is below itself");
    }

    @Test
    void groupsOfEveryCaptureAreLinuxs() throws IOException {
        int compared = 0;
        for (Path tar : SharedData.files("linux/captures", ".tar")) {
            Captures.Capture capture = Captures.read(tar);
            assertThat(capture.functions()).as(capture.name()).hasSizeGreaterThan(10);
            if (capture.groups().isEmpty()) {
                continue;
            }
            Set<PciAddress> translated = new HashSet<>();
            capture.groups().values().forEach(translated::addAll);
            List<PciFunction> functions = List.copyOf(capture.functions());

            List<List<PciAddress>> groups = PciGroups.of(() -> functions, translated::contains);

            assertThat(groups.stream().map(TreeSet::new))
                    .as(capture.name())
                    .containsExactlyInAnyOrderElementsOf(
                            capture.groups().values().stream().map(TreeSet::new).toList());
            System.out.println(capture.name() + ": " + groups.size() + " groups of " + translated.size()
                    + " devices as Linux has them");
            compared += groups.size();
        }
        assertThat(compared).isGreaterThan(50);
    }

    @Test
    void theX99BoardsRootPortsWithoutAcsIsolateInTheChipsetsOwnWay() throws IOException {
        Path listing = SharedData.path("data/machines/huananzhi-x99-qd4/lspci-nnvvvxxxx.txt");
        List<PciFunction> board = lspci(listing);
        assertThat(board).hasSizeGreaterThan(20);

        List<String> groups = texts(PciGroups.of(() -> board, address -> true));

        assertThat(groups).contains("00:1c.0", "00:1c.2", "08:00.0", "00:1b.0");
    }

    private static int[] aliases(PciHierarchy hierarchy, String address) {
        return hierarchy.find(PciAddress.parse(address)).orElseThrow().dmaAliases();
    }

    private static List<String> groups(TestFunction... functions) {
        return groups(List.of(functions), address -> true);
    }

    private static List<String> groups(List<TestFunction> functions, Predicate<PciAddress> translated) {
        List<PciFunction> all = List.copyOf(functions);
        return texts(PciGroups.of(() -> all, translated));
    }

    private static List<String> texts(List<List<PciAddress>> groups) {
        return groups.stream()
                .map(group -> String.join(
                        " ",
                        group.stream()
                                .map(member -> member.toString().substring(5))
                                .toList()))
                .toList();
    }

    /** Reads {@code lspci -xxxx}; a bridge's secondary bus tells what is below it. */
    private static List<PciFunction> lspci(Path listing) throws IOException {
        Pattern head = Pattern.compile("([0-9a-f]{2}:[0-9a-f]{2}\\.[0-7]) .*");
        Pattern dump = Pattern.compile("([0-9a-f]{2,3}):((?: [0-9a-f]{2}){16})");
        Map<PciAddress, byte[]> configs = new HashMap<>();
        byte[] config = new byte[0];
        for (String line : Files.readAllLines(listing)) {
            Matcher function = head.matcher(line);
            Matcher bytes = dump.matcher(line);
            if (function.matches()) {
                config = new byte[4096];
                configs.put(PciAddress.parse(function.group(1)), config);
            } else if (bytes.matches()) {
                int offset = Integer.parseInt(bytes.group(1), 16);
                for (int i = 0; i < 16; i++) {
                    config[offset + i] = (byte) Integer.parseInt(bytes.group(2), 3 * i + 1, 3 * i + 3, 16);
                }
            }
        }
        Map<Integer, PciAddress> bridges = new HashMap<>();
        configs.forEach((address, bytes) -> {
            if ((bytes[0x0e] & 0x7f) == 1) {
                bridges.put(bytes[0x19] & 0xff, address);
            }
        });
        List<PciFunction> functions = new ArrayList<>();
        configs.forEach((address, bytes) -> functions.add(
                new TestFunction(address, address.bus() == 0 ? null : bridges.get(address.bus()), bytes)));
        return functions;
    }
}
