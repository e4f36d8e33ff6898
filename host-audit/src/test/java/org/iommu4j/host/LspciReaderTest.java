// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.iommu4j.core.PciGroups;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LspciReaderTest {
    /** Where a title is missing and no empty line parts functions, what comes again is of another function. */
    @Test
    void detailsThatComeAgainAreOfAnotherFunction(@TempDir Path text) throws IOException {
        HostEvidence host = HostInputs.withInstalledVendors()
                .lspci(Files.writeString(text.resolve("lspci.txt"), """
                        01:00.0 VGA compatible controller: Maker Card
                        \tSubsystem: Maker Board
                        \tIOMMU group: 2
                        \tKernel driver in use: nouveau
                        \tSubsystem: Other Board
                        \tIOMMU group: 7
                        \tKernel driver in use: nvme
                        """))
                .read();
        FunctionEvidence card = host.functions().get(0);
        assertThat(card.driver().map(Fact::value)).contains("nouveau");
        assertThat(card.group().map(Fact::value)).contains(2);
    }

    private static final String VERBOSE = """
            00:00.0 Host bridge [0600]: Maker Bridge [8086:2f00] (rev 02)
            \tControl: I/O- Mem- BusMaster- VGASnoop-
            \tStatus: Cap- 66MHz-

            00:01.0 PCI bridge [0604]: Maker Root Port [8086:2f02] (rev 02) (prog-if 00 [Normal decode])
            \tControl: I/O+ Mem+ BusMaster+ SpecCycle- MemWINV- VGASnoop- ParErr-
            \tBus: primary=00, secondary=01, subordinate=01, sec-latency=0
            \tIOMMU group: 1
            \tCapabilities: [90] Express (v2) Root Port (Slot+), MSI 00
            \t\tDevCap:\tMaxPayload 256 bytes, PhantFunc 0
            \t\tDevCtl:\tCorrErr- NonFatalErr- FatalErr- UnsupReq-
            \t\t\tRlxdOrd- ExtTag- PhantFunc- AuxPwr- NoSnoop-
            \tCapabilities: [e0] Power Management version 3
            \tCapabilities: [110 v1] Access Control Services
            \t\tACSCap:\tSrcValid+ TransBlk+ ReqRedir+ CmpltRedir+ UpstreamFwd+ EgressCtrl- DirectTrans-
            \t\tACSCtl:\tSrcValid+ TransBlk- ReqRedir+ CmpltRedir+ UpstreamFwd+ EgressCtrl- DirectTrans-
            \tKernel driver in use: pcieport

            01:00.0 VGA compatible controller [0300]: Other Maker Card [Name] [1002:73ff] (rev c7) (prog-if 00 [VGA \
            controller])
            \tControl: I/O+ Mem+ BusMaster+ VGASnoop-
            \tIOMMU group: 14
            \tCapabilities: [64] Express (v2) Legacy Endpoint, MSI 00
            \t\tDevCtl:\tCorrErr+ NonFatalErr+ FatalErr+ UnsupReq+
            \t\t\tRlxdOrd+ ExtTag+ PhantFunc- AuxPwr- NoSnoop+
            \tCapabilities: [2b0 v1] Address Translation Service (ATS)
            \tKernel driver in use: amdgpu
            \tKernel modules: amdgpu

            01:00.1 Audio device [0403]: Other Maker Audio [1002:ab28]
            \tControl: I/O- Mem+ BusMaster+ VGASnoop-
            \tCapabilities: <access denied>
            \tKernel driver in use: snd_hda_intel
            """;

    private static final PciAddress PORT = PciAddress.parse("00:01.0");
    private static final PciAddress CARD = PciAddress.parse("01:00.0");
    private static final PciAddress AUDIO = PciAddress.parse("01:00.1");

    @TempDir
    private Path folder;

    private HostEvidence read(String text) throws IOException {
        return HostInputs.withInstalledVendors()
                .lspci(Files.writeString(folder.resolve("lspci.txt"), text))
                .read();
    }

    private FunctionEvidence function(PciAddress address) throws IOException {
        return read(VERBOSE).function(address).orElseThrow();
    }

    @Test
    void idsClassAndNamesComeFromTheTitle() throws IOException {
        FunctionEvidence card = function(CARD);
        assertThat(card.vendorId()).hasValue(0x1002);
        assertThat(card.deviceId()).hasValue(0x73ff);
        assertThat(card.classCode()).hasValue(0x0300);
        assertThat(card.className()).contains("VGA compatible controller");
        assertThat(card.name()).contains("Other Maker Card [Name]");
    }

    @Test
    void noSnoopIsReadFromDeviceControlAndNotFromTheCommandRegistersVgaSnoop() throws IOException {
        assertThat(function(PORT).noSnoopEnabled()).isEqualTo(Answer.NO);
        assertThat(function(CARD).noSnoopEnabled()).isEqualTo(Answer.YES);
        assertThat(function(PciAddress.parse("00:00.0")).noSnoopEnabled()).isEqualTo(Answer.UNKNOWN);
    }

    @Test
    void deniedCapabilitiesAreUnknown() throws IOException {
        FunctionEvidence audio = function(AUDIO);
        assertThat(audio.knowledge()).isEqualTo(ConfigKnowledge.HEADER);
        assertThat(audio.pciExpress()).isEqualTo(Answer.UNKNOWN);
        assertThat(audio.noSnoopEnabled()).isEqualTo(Answer.UNKNOWN);
        assertThat(audio.driver().orElseThrow().value()).isEqualTo("snd_hda_intel");
    }

    @Test
    void theTextStandsForConfigurationSpaceWhereGroupsAreWorkedOut() throws IOException {
        HostEvidence host = read(VERBOSE);
        FunctionEvidence port = host.function(PORT).orElseThrow();
        assertThat(port.knowledge()).isEqualTo(ConfigKnowledge.ALL);
        assertThat(port.reconstructed()).isTrue();
        int acs = port.config().findExtendedCapability(ConfigSpace.EXTENDED_CAPABILITY_ACS);
        assertThat(port.config().read(acs + 4, 2)).isEqualTo(0x1f);
        assertThat(port.config().read(acs + 6, 2)).isEqualTo(0x1d);
        assertThat(port.config().findExtendedCapability(ConfigSpace.EXTENDED_CAPABILITY_ATS))
                .isZero();
        assertThat(host.function(CARD)
                        .orElseThrow()
                        .config()
                        .findExtendedCapability(ConfigSpace.EXTENDED_CAPABILITY_ATS))
                .isEqualTo(0x2b0);
        assertThat(host.function(CARD).orElseThrow().upstreamBridge()).contains(PORT);
        assertThat(host.placesKnown()).isTrue();
        assertThat(host.topologyKnown())
                .as("capabilities of 01:00.1 are denied")
                .isFalse();
        assertThat(PciGroups.of(host.topology(), address -> true)).contains(List.of(PORT), List.of(CARD, AUDIO));
    }

    @Test
    void aSwitchedOffRedirectJoinsTheCardsGroupToThePorts() throws IOException {
        HostEvidence host = read(
                VERBOSE.replace("ACSCtl:\tSrcValid+ TransBlk- ReqRedir+", "ACSCtl:\tSrcValid+ TransBlk- ReqRedir-"));
        assertThat(PciGroups.of(host.topology(), address -> true)).contains(List.of(PORT, CARD, AUDIO));
    }

    @Test
    void groupsAndDriversAreTheHostsOwn() throws IOException {
        HostEvidence host = read(VERBOSE);
        assertThat(host.groups().keySet()).containsExactly(1, 14);
        assertThat(host.groups().get(14).members()).containsExactly(CARD);
        assertThat(host.function(PORT).orElseThrow().driver().orElseThrow().value())
                .isEqualTo("pcieport");
    }

    @Test
    void hexIsBelievedBeforeTheText() throws IOException {
        StringBuilder text = new StringBuilder("00:02.0 VGA compatible controller: Maker Graphics\n");
        byte[] config = HostFixtures.express(0x0810);
        for (int at = 0; at < config.length; at += 16) {
            text.append(String.format("%02x:", at));
            for (int i = 0; i < 16; i++) {
                text.append(String.format(" %02x", config[at + i]));
            }
            text.append('\n');
        }
        FunctionEvidence graphics = read(text.toString()).functions().get(0);
        assertThat(graphics.configBytes()).isEqualTo(config);
        assertThat(graphics.reconstructed()).isFalse();
        assertThat(graphics.deviceControl()).hasValue(0x0810);
        assertThat(graphics.vendorId()).hasValue(0x8086);
        assertThat(graphics.noSnoopEnabled()).isEqualTo(Answer.YES);
    }

    /** Of {@code -xxx} only the first 256 bytes are hex; the rest is what {@code -vvv} says. */
    @Test
    void hexOfTheFirst256BytesIsCompletedByTheText() throws IOException {
        StringBuilder text = new StringBuilder("""
                00:02.0 VGA compatible controller: Maker Graphics
                \tControl: I/O+
                \tCapabilities: [70] Express (v2) Endpoint, MSI 00
                \t\tDevCtl:\tCorrErr-
                \t\t\tRlxdOrd- NoSnoop+
                \tCapabilities: [200 v1] Address Translation Service (ATS)
                """);
        byte[] config = HostFixtures.express(0x0810);
        for (int at = 0; at < 256; at += 16) {
            text.append(String.format("%02x:", at));
            for (int i = 0; i < 16; i++) {
                text.append(String.format(" %02x", config[at + i]));
            }
            text.append('\n');
        }
        HostEvidence host = read(text.toString());
        FunctionEvidence graphics = host.functions().get(0);
        assertThat(graphics.knowledge()).isEqualTo(ConfigKnowledge.ALL);
        assertThat(graphics.deviceControl()).hasValue(0x0810);
        assertThat(graphics.config().findExtendedCapability(ConfigSpace.EXTENDED_CAPABILITY_ATS))
                .isEqualTo(0x200);
        assertThat(host.warnings()).isEmpty();
    }

    @Test
    void aListingWithoutDetailsTellsClassesOnly() throws IOException {
        HostEvidence host = read("00:1f.3 Audio device: Maker Audio\n00:01.0 PCI bridge: Maker Port\n");
        assertThat(host.functions()).hasSize(2);
        assertThat(host.functions().get(0).knowledge()).isEqualTo(ConfigKnowledge.NONE);
        assertThat(host.topologyKnown()).isFalse();
    }

    @Test
    void numericListingsAndDomainsAreRead() throws IOException {
        HostEvidence host = read("0001:00:02.0 0300: 8086:1616 (rev 09)\n");
        assertThat(host.functions().get(0).address()).hasToString("0001:00:02.0");
        assertThat(host.functions().get(0).classCode()).hasValue(0x0300);
        assertThat(host.functions().get(0).deviceId()).hasValue(0x1616);
    }

    @Test
    void functionsBelowAVmdAreFunctionsOfTheHostAndNoRequesters() throws IOException {
        HostEvidence host = read("""
                00:02.0 VGA compatible controller: A B
                10000:e0:06.0 PCI bridge: Intel Corporation X
                7fffffff:e1:00.0 Network controller: A B
                """);
        assertThat(host.functions())
                .extracting(function -> function.address().toString())
                .containsExactly("0000:00:02.0", "10000:e0:06.0", "7fffffff:e1:00.0");
        assertThat(host.requesters()).hasSize(1);
        assertThat(host.topology().functions()).hasSize(1);
        assertThat(host.warnings()).isEmpty();
    }

    @Test
    void aDomainThatLinuxCannotHaveIsNone() throws IOException {
        HostEvidence host = read("00:02.0 VGA compatible controller: A B\nffffffff:e0:06.0 PCI bridge: A B\n");
        assertThat(host.functions()).hasSize(1);
    }

    @Test
    void anExpressCapabilityWithoutRoomForItsRegistersTellsNothing() throws IOException {
        FunctionEvidence graphics = read("""
                00:02.0 VGA compatible controller: A B
                \tControl: I/O+
                \tCapabilities: [fc] Express (v2) Endpoint, MSI 00
                \t\tDevCtl:\tCorrErr- NoSnoop+
                """).functions().get(0);
        assertThat(graphics.pciExpress()).isEqualTo(Answer.UNKNOWN);
        assertThat(graphics.noSnoopEnabled()).isEqualTo(Answer.UNKNOWN);
    }

    @Test
    void controlCharactersOfNamesDoNotReachATerminal() throws IOException {
        HostEvidence host = read("00:02.0 VGA compatible controller: Evil \u001b[31m\u0001name\n");
        assertThat(host.functions().get(0).name()).contains("Evil \\u0001name");
    }

    @Test
    void whatIsNoListingIsRefusedInOneLine() throws IOException {
        Path file = Files.writeString(folder.resolve("letter.txt"), "Dear sir,\n12:30 we met.\n");
        assertThatExceptionOfType(InputException.class)
                .isThrownBy(() -> HostInputs.withInstalledVendors().lspci(file))
                .withMessageContaining("letter.txt: is not a listing of lspci");
    }

    @Test
    void classesOnWhichAnswersDependAreKnownByWordsAlone() throws IOException {
        HostEvidence host = read("""
                00:02.0 VGA compatible controller: Maker Graphics (rev 02) (prog-if 00 [VGA controller])
                \tFlags: bus master, fast devsel, latency 0

                00:14.0 USB Controller: Maker USB (rev 21) (prog-if 30 [XHCI])
                \tFlags: bus master, medium devsel, latency 0

                00:16.0 Communication controller: Maker Engine (rev 21)
                \tFlags: bus master, medium devsel, latency 0

                00:1f.0 ISA bridge: Maker Bridge (rev 21)
                \tFlags: bus master, medium devsel, latency 0
                """);
        assertThat(host.functions().get(0).config().read(0x0a, 2)).isEqualTo(0x0300);
        assertThat(host.functions().get(1).config().read(0x0a, 2)).isEqualTo(0x0c03);
        assertThat(host.functions().get(2).classCode()).isEmpty();
        assertThat(host.functions().get(2).config().read(0x0a, 2))
                .as("reads as nothing does")
                .isEqualTo(0xffff);
        assertThat(host.functions().get(3).config().read(0x0a, 2)).isEqualTo(0x0601);
    }

    /** Its own bit is reserved and reads as zero, in words as in hex. */
    @Test
    void ofAVirtualFunctionWithoutItsPhysicalOneEnableNoSnoopIsUnknown() {
        EvidenceBuilder host = HostEvidence.builder("test");
        String words = "\tCapabilities: [40] Express (v2) Endpoint, MSI 00\n\t\t\tRlxdOrd- ExtTag- NoSnoop-\n";
        String hex = """
                00: ff ff ff ff 04 00 10 00 01 00 00 02 00 00 00 00
                10: 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
                20: 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
                30: 00 00 00 00 40 00 00 00 00 00 00 00 00 00 00 00
                40: 10 00 02 00 00 00 00 00 00 00 00 00 00 00 00 00
                """;
        String rest = IntStream.range(5, 16)
                .mapToObj(row -> String.format("%x0:%s%n", row, " 00".repeat(16)))
                .collect(Collectors.joining());
        String text = "03:10.0 Ethernet controller [0200]: Maker Card VF [1234:0010]\n" + words + hex + rest;
        LspciReader.read(text.lines().toList(), new Source("test", Rank.LSPCI), host);
        FunctionEvidence function =
                host.build().function(PciAddress.parse("03:10.0")).orElseThrow();
        assertThat(function.pciExpress()).isEqualTo(Answer.YES);
        assertThat(function.noSnoopEnabled()).isEqualTo(Answer.UNKNOWN);
    }

    // --- other layouts ---

    @Test
    void theGroupMayEndTheFlags() throws IOException {
        HostEvidence host = read("""
                04:00.0 Ethernet controller: Maker Card
                \tFlags: bus master, fast devsel, latency 0, IRQ 16, NUMA node 0, IOMMU group 21
                """);
        assertThat(host.groups().keySet()).containsExactly(21);
    }

    private static final String RECORD = """
            Slot:\t04:00.0
            Class:\tEthernet controller%s
            Vendor:\tMaker, Inc. [MKR]%s
            Device:\tCard%s
            SVendor:\tOther [1043]
            SDevice:\tBoard [8694]
            Rev:\t02
            ProgIf:\t00
            Driver:\te1000e
            Module:\te1000e
            NUMANode:\t0
            IOMMUGroup:\t21
            """;

    @Test
    void recordsForProgramsAreReadInWordsAndNumbers() throws IOException {
        for (String record : List.of(
                RECORD.formatted(" [0200]", " [8086]", " [10d3]"),
                RECORD.formatted(" [0200]", " [8086]", " [10d3]").replace('\t', ' '),
                RECORD.formatted(" [0200]", " [8086]", " [10d3]").replace("Slot:", "Device:"))) {
            HostEvidence host = read("Slot:\t00:00.0\nClass:\tHost bridge [0600]\nIOMMUGroup:\t0\n\n" + record);
            assertThat(host.functions()).hasSize(2);
            FunctionEvidence card = host.function(PciAddress.parse("04:00.0")).orElseThrow();
            assertThat(card.classCode()).hasValue(0x0200);
            assertThat(card.className()).contains("Ethernet controller");
            assertThat(card.name()).contains("Maker, Inc. [MKR] Card");
            assertThat(card.vendorId()).hasValue(0x8086);
            assertThat(card.deviceId()).hasValue(0x10d3);
            assertThat(card.driver().map(Fact::value)).contains("e1000e");
            assertThat(card.group().map(Fact::value)).contains(21);
            assertThat(host.groups().keySet()).containsExactly(0, 21);
            assertThat(host.warnings()).isEmpty();
        }
        FunctionEvidence words = read(RECORD.formatted("", "", "")).functions().get(0);
        assertThat(words.className()).contains("Ethernet controller");
        assertThat(words.vendorId()).isEmpty();
        FunctionEvidence numbers = read("Slot:\t04:00.0\nClass:\t0300\nVendor:\t8086\nDevice:\t10d3\nIOMMUGroup:\t21\n")
                .functions()
                .get(0);
        assertThat(numbers.classCode()).hasValue(0x0300);
        assertThat(numbers.deviceId()).hasValue(0x10d3);
        assertThat(numbers.name()).isEmpty();
    }

    @Test
    void linesOfQuotedFieldsAreRead() throws IOException {
        HostEvidence host =
                read("00:02.0 \"VGA compatible controller [0300]\" \"Maker [8086]\" \"A \\\"Card\\\" [1616]\""
                        + " -r09 -p00 \"Other [1028]\" \"Board [0665]\"\n"
                        + "00:1f.0 \"ISA bridge\" \"Maker\" \"LPC\" -r03 \"\" \"\"\n");
        FunctionEvidence graphics = host.function(PciAddress.parse("00:02.0")).orElseThrow();
        assertThat(graphics.classCode()).hasValue(0x0300);
        assertThat(graphics.deviceId()).hasValue(0x1616);
        assertThat(graphics.name()).contains("Maker A \"Card\"");
        assertThat(host.function(PciAddress.parse("00:1f.0")).orElseThrow().classCode())
                .hasValue(0x0601);
        assertThat(host.warnings()).isEmpty();
    }

    @Test
    void pathsTellTheBridgeAbove() throws IOException {
        HostEvidence host = read("""
                00:00.0 Host bridge: Maker Host
                00:1c.0 PCI bridge: Maker Port
                00:1c.0/04:00.0 PCI bridge: Maker Switch
                00:1c.0/04:00.0/05:00.0 Ethernet controller: Maker Card
                80:00.0 Ethernet controller: Maker Card
                """);
        assertThat(host.functions())
                .extracting(function -> function.upstreamBridge()
                        .map(bridge -> bridge.toString().substring(5))
                        .orElse("-"))
                .containsExactly("-", "-", "00:1c.0", "04:00.0", "-");
        assertThat(host.placesKnown()).isTrue();
        assertThat(host.warnings()).isEmpty();
    }

    @Test
    void aPathWithoutBusesTellsNoAddress() throws IOException {
        HostEvidence host = read("00:1c.0 PCI bridge: Maker Port\n00:1c.0/00.0 Ethernet controller: Maker Card\n");
        assertThat(host.functions()).hasSize(1);
        assertThat(host.warnings()).singleElement().asString().contains("'00:1c.0/00.0 Ethernet");
    }
}
