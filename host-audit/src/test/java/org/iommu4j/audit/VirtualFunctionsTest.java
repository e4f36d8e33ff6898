// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.Reason;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A virtual function has the unit of its physical function, and that one's Enable No Snoop counts. */
class VirtualFunctionsTest {
    private static final String HOST_BRIDGE = Hosts.function("00:00.0 Host bridge [0600]: Maker Host [1234:0001]");
    private static final String PORT =
            Hosts.port("00:03.0 PCI bridge [0604]: Maker Port [1234:0002]", "Root Port (Slot+)", "03", "05")
                    + Hosts.acs(true);
    private static final String SRIOV = """
            \tCapabilities: [160 v1] Single Root I/O Virtualization (SR-IOV)
            \t\tIOVCap:\tMigration- 10BitTagReq- IntMsgNum 0
            \t\tIOVCtl:\tEnable+ Migration- Interrupt- MSE+ ARIHierarchy-
            \t\tInitial VFs: 8, Total VFs: 8, Number of VFs: 2, Function Dependency Link: 00
            \t\tVF offset: 384, stride: 4, Device ID: 0010
            """;
    private static final String VIRTUAL =
            Hosts.express("04:10.0 Ethernet controller [0200]: Maker Card VF [1234:0010]", "Endpoint", false);
    private static final String SECOND =
            Hosts.express("04:10.4 Ethernet controller [0200]: Maker Card VF [1234:0010]", "Endpoint", false);

    @TempDir
    private Path folder;

    private static String physical(boolean noSnoop) {
        return Hosts.express("03:00.0 Ethernet controller [0200]: Maker Card [1234:0009]", "Endpoint", noSnoop);
    }

    /** A unit for all below the port, and one for all else. */
    private Hosts host() throws IOException {
        byte[] below = Hosts.unit(0xfed9_0000L, false, 3);
        below[16] = 2; // the scope is a bridge with all below it
        return new Hosts(folder)
                .dmar(below, Hosts.unit(0xfed9_1000L, true))
                .text("dmesg.txt", Hosts.LOG + Hosts.UNIT0 + Hosts.UNIT1);
    }

    @Test
    void itHasTheUnitOfItsPhysicalFunctionAndAGroupOfItsOwn() throws IOException {
        Audit audit = host().lspci(HOST_BRIDGE, PORT, physical(true) + SRIOV, VIRTUAL, SECOND)
                .audit("6.1");
        assertThat(Hosts.device(audit, "03:00.0").unit()).isEqualTo("dmar0");
        assertThat(Hosts.device(audit, "04:10.0").unit()).isEqualTo("dmar0");
        assertThat(Hosts.groups(audit)).containsExactly("00:00.0", "00:03.0", "03:00.0", "04:10.0", "04:10.4");
    }

    @Test
    void aBusThatNoBridgeHasAsItsFirstIsBelowTheBridgeWhoseBusesCoverIt() throws IOException {
        Audit audit = host().lspci(HOST_BRIDGE, PORT, physical(true), VIRTUAL).audit("6.1");
        assertThat(Hosts.device(audit, "04:10.0").unit()).isEqualTo("dmar0");
    }

    @Test
    void thePhysicalFunctionsEnableNoSnoopCountsForIt() throws IOException {
        Audit audit =
                host().lspci(HOST_BRIDGE, PORT, physical(true) + SRIOV, VIRTUAL).audit("6.1", "04:10.0");
        AuditedDevice virtual = Hosts.device(audit, "04:10.0");
        assertThat(virtual.noSnoopEnabled()).isEqualTo(Answer.YES);
        assertThat(virtual.why())
                .extracting(Reason::text)
                .contains("Enable No Snoop of its physical function 0000:03:00.0 is on: the device may send no-snoop");
        assertThat(virtual.hints()).extracting(Reason::text).anyMatch(hint -> hint.contains("of 0000:03:00.0"));

        Audit off = new Hosts(Files.createDirectory(folder.resolve("off")))
                .lspci(HOST_BRIDGE, PORT, physical(false) + SRIOV, VIRTUAL.replace("NoSnoop-", "NoSnoop+"))
                .audit("6.1");
        assertThat(Hosts.device(off, "04:10.0").noSnoopEnabled()).isEqualTo(Answer.NO);
    }

    /** Linux removes them before the driver lets the physical function go. */
    @Test
    void aPhysicalFunctionThatIsGivenAwayTakesItsVirtualOnesFromTheHost() throws IOException {
        String driver = "\tKernel driver in use: ixgbe\n";
        Audit audit = host().lspci(HOST_BRIDGE, PORT, physical(true) + SRIOV + driver, VIRTUAL, SECOND)
                .audit("6.1", "03:00.0");
        String loss = "SR-IOV: 04:10.0, 04:10.4 go when the driver of 03:00.0 does";
        Passthrough passthrough = new Passthrough(audit);
        assertThat(passthrough.of(Hosts.device(audit, "03:00.0"))).contains(new Line("host loses", loss));
        assertThat(passthrough.of(Hosts.device(audit, "04:10.0")))
                .extracting(Line::text)
                .doesNotContain(loss);
        assertThat(Headline.lines(audit)).extracting(Line::text).anyMatch(text -> text.contains(loss));

        Audit ofVfio = new Hosts(Files.createDirectory(folder.resolve("vfio")))
                .lspci(HOST_BRIDGE, PORT, physical(true) + SRIOV + driver.replace("ixgbe", "vfio-pci"), VIRTUAL)
                .audit("6.1", "03:00.0");
        assertThat(new Passthrough(ofVfio).of(Hosts.device(ofVfio, "03:00.0")))
                .as("vfio-pci keeps them")
                .extracting(Line::text)
                .noneMatch(text -> text.startsWith("SR-IOV"));
    }

    /** A virtual function shows no ids of its own; that is not how one looks that does not answer. */
    @Test
    void linuxsLinkNamesThePhysicalFunction() throws IOException {
        Path devices = Files.createDirectories(folder.resolve("sys/bus/pci/devices"));
        Path port = folder.resolve("sys/devices/pci0000:00/0000:00:03.0");
        Path physical = Files.createDirectories(port.resolve("0000:03:00.0"));
        Path virtual = Files.createDirectories(port.resolve("0000:04:10.0"));
        Files.write(port.resolve("config"), config(0x1234, 4, 0));
        Files.write(physical.resolve("config"), config(0x1234, 0, 0x0800));
        Files.write(virtual.resolve("config"), config(0xffff, 0, 0));
        Files.writeString(virtual.resolve("vendor"), "0x1234\n");
        Files.createSymbolicLink(virtual.resolve("physfn"), Path.of("../0000:03:00.0"));
        Files.createSymbolicLink(devices.resolve("0000:00:03.0"), Path.of("../../../devices/pci0000:00/0000:00:03.0"));
        for (String below : new String[] {"0000:03:00.0", "0000:04:10.0"}) {
            Files.createSymbolicLink(
                    devices.resolve(below), Path.of("../../../devices/pci0000:00/0000:00:03.0/" + below));
        }
        Audit audit = new Hosts(folder).tree(folder).audit("6.1");
        assertThat(Hosts.device(audit, "04:10.0").noSnoopEnabled()).isEqualTo(Answer.YES);
        assertThat(audit.warnings()).noneMatch(warning -> warning.contains("vendor id"));
    }

    /** Of two functions each would be above the other. */
    @Test
    void aFunctionIsNotPutBelowItselfWhereItsPhysicalFunctionIsSaidToBeBelowIt() throws IOException {
        Path devices = Files.createDirectories(folder.resolve("sys/bus/pci/devices"));
        Path below = Files.createDirectories(folder.resolve("sys/devices/0000:00:04.0/0000:02:00.0"));
        Path above = Files.createDirectory(devices.resolve("0000:00:04.0"));
        Files.write(above.resolve("config"), config(0x1234, 4, 0));
        Files.write(below.resolve("config"), config(0x1234, 0, 0));
        Files.createSymbolicLink(above.resolve("physfn"), Path.of("../../../../devices/0000:00:04.0/0000:02:00.0"));
        Files.createSymbolicLink(
                devices.resolve("0000:02:00.0"), Path.of("../../../devices/0000:00:04.0/0000:02:00.0"));
        Audit audit = new Hosts(folder).tree(folder).audit("6.1");
        assertThat(audit.devices()).hasSize(2);
        assertThat(audit.warnings())
                .anyMatch(warning -> warning.startsWith("0000:00:04.0 is below 0000:00:04.0")
                        && warning.contains("physical function 0000:02:00.0"));
    }

    private static byte[] config(int vendor, int type, int deviceControl) {
        byte[] config = new byte[4096];
        config[0] = (byte) vendor;
        config[1] = (byte) (vendor >> 8);
        Arrays.fill(config, 2, 4, (byte) (vendor == 0xffff ? -1 : 1));
        config[6] = 0x10;
        config[0x0b] = (byte) (type == 4 ? 6 : 2);
        config[0x0a] = (byte) type;
        config[0x0e] = (byte) (type == 4 ? 1 : 0);
        config[0x19] = 3;
        config[0x1a] = 5;
        config[0x34] = 0x40;
        config[0x40] = 0x10;
        config[0x42] = (byte) (type << 4);
        config[0x49] = (byte) (deviceControl >> 8);
        return config;
    }
}
