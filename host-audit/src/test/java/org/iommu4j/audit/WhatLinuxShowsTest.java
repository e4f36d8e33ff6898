// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.Reason;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Where a host's own Linux shows its units, links and groups, these count before what tables say. */
class WhatLinuxShowsTest {
    private static final String HOST_BRIDGE = Hosts.function("00:00.0 Host bridge [0600]: Maker Host [1234:0001]");
    private static final String GRAPHICS = Hosts.express(
            "00:02.0 VGA compatible controller [0300]: Maker Graphics [1234:0002]",
            "Root Complex Integrated Endpoint",
            true);
    private static final String CARD = Hosts.express(
            "00:03.0 Ethernet controller [0200]: Maker Card [1234:0003]", "Root Complex Integrated Endpoint", false);
    private static final byte[] FIRST = Hosts.unit(0xfed9_0000L, false, 2);
    private static final byte[] ALL = Hosts.unit(0xfed9_1000L, true);

    @TempDir
    private Path folder;

    /** Where a unit is that no existing device has, Linux ignores it, and it decides for nobody. */
    @Test
    void aUnitWithoutAnExistingDeviceIsIgnored() throws IOException {
        Audit audit = new Hosts(folder)
                .dmar(FIRST, ALL)
                .lspci(HOST_BRIDGE, CARD)
                .text("dmesg.txt", Hosts.LOG + Hosts.UNIT0 + Hosts.UNIT1)
                .audit("5.15");

        assertThat(Hosts.device(audit, "00:03.0").guest()).isEqualTo(Guest.COHERENT);
        assertThat(audit.warnings())
                .anyMatch(warning -> warning.contains("Linux ignores dmar0: no device of its scope exists"));
    }

    /** Of a capture the directory of a unit may be missing, and the link that names it is there. */
    @Test
    void aUnitWhoseAttributesCannotBeReadIsNotIgnored() throws IOException {
        Path units = Files.createDirectories(folder.resolve("sys/class/iommu"));
        Path attributes = Files.createDirectories(units.resolve("dmar0/intel-iommu"));
        Files.writeString(attributes.resolve("address"), "fed90000\n");
        Files.writeString(attributes.resolve("version"), "1:0\n");
        Files.writeString(attributes.resolve("cap"), "d2008c40660462\n");
        Files.writeString(attributes.resolve("ecap"), "f0505a\n");
        Files.createSymbolicLink(units.resolve("dmar1"), Path.of("../../devices/virtual/iommu/dmar1"));
        Audit audit = new Hosts(folder)
                .dmar(FIRST, ALL)
                .lspci(HOST_BRIDGE, GRAPHICS, CARD)
                .tree(folder)
                .audit("5.15");
        assertThat(audit.warnings()).noneMatch(warning -> warning.contains("Linux ignores"));
        assertThat(Hosts.device(audit, "00:03.0").unit()).isEqualTo("dmar1");
    }

    @Test
    void aUnitCountsAsLongAsItsDevicesMayExist() throws IOException {
        Hosts listed = new Hosts(folder).dmar(FIRST, ALL).text("dmesg.txt", Hosts.LOG + Hosts.UNIT0 + Hosts.UNIT1);
        assertThat(Hosts.device(listed.lspci(CARD).audit("5.15"), "00:03.0").guest())
                .as("a listing without the host bridge is of some devices only")
                .isEqualTo(Guest.NONCOHERENT);
    }

    @Test
    void aUnitOfGraphicsAloneIsIgnoredWhereTheCommandLineSaysSo() throws IOException {
        Hosts host = new Hosts(folder)
                .dmar(FIRST, ALL)
                .lspci(HOST_BRIDGE, GRAPHICS, CARD)
                .text(
                        "dmesg.txt",
                        Hosts.LOG + Hosts.UNIT0 + Hosts.UNIT1 + "Kernel command line: quiet intel_iommu=on,igfx_off\n");

        Audit old = host.audit("5.15", "00:02.0");
        AuditedDevice graphics = Hosts.device(old, "00:02.0");
        assertThat(graphics.unit()).isNull();
        assertThat(graphics.assignable()).isEqualTo(Answer.NO);
        assertThat(graphics.why()).extracting(Reason::text).anyMatch(text -> text.contains("igfx_off"));
        assertThat(Hosts.device(old, "00:03.0").guest()).isEqualTo(Guest.COHERENT);
        assertThat(Hosts.device(host.audit("6.1"), "00:02.0").unit()).isNull();
        assertThat(old.hints())
                .extracting(Reason::text)
                .singleElement()
                .asString()
                .startsWith("remove intel_iommu=igfx_off from the kernel's command line");
    }

    @Test
    void graphicsAreKnownFromAListingInWords() throws IOException {
        Audit audit = new Hosts(folder)
                .dmar(FIRST, ALL)
                .lspci(
                        HOST_BRIDGE,
                        "00:02.0 VGA compatible controller: Maker Graphics (rev 02)\n\tFlags: bus master, fast "
                                + "devsel\n",
                        CARD)
                .text("cmdline.txt", Hosts.LOG + Hosts.UNIT0 + "Kernel command line: intel_iommu=igfx_off\n")
                .audit("6.1");
        assertThat(Hosts.device(audit, "00:02.0").translated()).isEqualTo(Answer.NO);
    }

    @Test
    void graphicsKeepTheirUnitWhereItHasOtherDevicesTooOrNothingIsSaid() throws IOException {
        Hosts shared = new Hosts(folder)
                .dmar(Hosts.unit(0xfed9_0000L, false, 2, 3), ALL)
                .lspci(HOST_BRIDGE, GRAPHICS, CARD)
                .text(
                        "dmesg.txt",
                        Hosts.LOG + Hosts.UNIT0 + Hosts.UNIT1 + "Kernel command line: intel_iommu=on,igfx_off\n");
        assertThat(Hosts.device(shared.audit("6.1"), "00:02.0").unit()).isEqualTo("dmar0");
        assertThat(shared.audit("6.1").hints()).isEmpty();

        Hosts silent = new Hosts(Files.createDirectory(folder.resolve("silent")))
                .dmar(FIRST, ALL)
                .lspci(HOST_BRIDGE, GRAPHICS, CARD)
                .text("dmesg.txt", Hosts.LOG + Hosts.UNIT0 + Hosts.UNIT1);
        Audit audit = silent.audit("5.15");
        assertThat(Hosts.device(audit, "00:02.0").unit()).isEqualTo("dmar0");
        assertThat(Hosts.device(audit, "00:03.0").guest()).isEqualTo(Guest.NONCOHERENT);
    }

    private Path unit(String name, String base, String ecap) throws IOException {
        Path unit = Files.createDirectories(folder.resolve("sys/class/iommu/" + name + "/intel-iommu"));
        Files.writeString(unit.resolve("address"), base + "\n");
        Files.writeString(unit.resolve("version"), "1:0\n");
        Files.writeString(unit.resolve("cap"), "d2008c40660462\n");
        Files.writeString(unit.resolve("ecap"), ecap + "\n");
        return unit;
    }

    /** A function on the root bus; in no group and behind no unit where these are empty. */
    private void function(String address, int classCode, String unit, String group) throws IOException {
        Path root = Files.createDirectories(folder.resolve("sys/devices/pci0000:00"));
        Path device = Files.createDirectories(root.resolve(address));
        byte[] config = new byte[256];
        config[0] = 0x34;
        config[1] = 0x12;
        config[0x0b] = (byte) (classCode >> 8);
        config[0x0a] = (byte) classCode;
        Files.write(device.resolve("config"), config);
        if (!unit.isEmpty()) {
            Files.createSymbolicLink(device.resolve("iommu"), Path.of("../../../class/iommu/" + unit));
        }
        if (!group.isEmpty()) {
            Path groups = Files.createDirectories(folder.resolve("sys/kernel/iommu_groups/" + group + "/devices"));
            Files.createSymbolicLink(groups.resolve(address), Path.of("../../../../devices/pci0000:00/" + address));
            Files.createSymbolicLink(device.resolve("iommu_group"), Path.of("../../../kernel/iommu_groups/" + group));
        }
        Files.createDirectories(folder.resolve("sys/bus/pci/devices"));
        Files.createDirectories(folder.resolve("sys/bus/pci/drivers"));
        Files.createSymbolicLink(
                folder.resolve("sys/bus/pci/devices/" + address), Path.of("../../../devices/pci0000:00/" + address));
    }

    private Hosts tree() throws IOException {
        return new Hosts(Files.createDirectory(folder.resolve("tables"))).tree(folder);
    }

    @Test
    void aLinkOfLinuxsCountsBeforeTheTableAndItsUnitIsAmongTheUnits() throws IOException {
        unit("dmar0", "fed90000", "f050da");
        unit("dmar1", "fed91000", "f0505a");
        function("0000:00:00.0", 0x0600, "dmar0", "0");
        function("0000:00:03.0", 0x0200, "dmar1", "1");
        Hosts host = tree().dmar(Hosts.unit(0xfed9_0000L, true));

        Audit audit = host.audit("6.1", "00:03.0");
        assertThat(Hosts.device(audit, "00:03.0").unit()).isEqualTo("dmar1");
        assertThat(Hosts.device(audit, "00:03.0").guest()).isEqualTo(Guest.NONCOHERENT);
        assertThat(audit.overall()).isEqualTo(Guest.NONCOHERENT);
        assertThat(audit.unit("dmar1").orElseThrow().devices()).containsExactly(PciAddress.parse("00:03.0"));
        assertThat(audit.warnings())
                .anyMatch(warning -> warning.contains("dmar1") && warning.contains("DMAR has no unit"))
                .anyMatch(warning -> warning.contains(
                        "0000:00:03.0 is translated by dmar1 in this Linux, by dmar0 as we read its DMAR"));

        assertThat(Hosts.device(host.audit("5.15"), "00:00.0").enforceCacheCoherency())
                .as("every unit that Linux uses decides, in the table or not")
                .isEqualTo(Answer.NO);
    }

    @Test
    void aLinkIsFollowedByTheUnitsRegistersWhereLinuxCountsOtherwise() throws IOException {
        unit("dmar0", "fed91000", "f050da");
        unit("dmar1", "fed90000", "f0505a");
        function("0000:00:00.0", 0x0600, "dmar0", "0");
        function("0000:00:02.0", 0x0300, "dmar1", "1");
        Audit audit = tree().dmar(FIRST, ALL).audit("6.1");

        assertThat(Hosts.device(audit, "00:02.0").unit()).isEqualTo("dmar0");
        assertThat(Hosts.device(audit, "00:02.0").guest()).isEqualTo(Guest.NONCOHERENT);
        assertThat(Hosts.device(audit, "00:00.0").guest()).isEqualTo(Guest.COHERENT);
        assertThat(audit.warnings()).noneMatch(warning -> warning.contains("is translated by"));
        assertThat(audit.units()).hasSize(2);
    }

    @Test
    void aUnitThatOnlyTheLogNamesIsNotUsedWhereLinuxShowsOthers() throws IOException {
        unit("dmar1", "fed91000", "f050da");
        function("0000:00:00.0", 0x0600, "dmar1", "0");
        function("0000:00:03.0", 0x0200, "dmar1", "1");
        Files.writeString(folder.resolve("dmesg.txt"), Hosts.LOG + Hosts.UNIT0 + Hosts.UNIT1);
        Audit audit = tree().audit("5.15");

        assertThat(Hosts.device(audit, "00:03.0").guest()).isEqualTo(Guest.COHERENT);
        assertThat(audit.warnings()).anyMatch(warning -> warning.contains("Linux ignores dmar0"));
    }

    @Test
    void whatTurnsTheGraphicsUnitOffIsHintedAtOnlyWhereLinuxDoesNotUseIt() throws IOException {
        unit("dmar1", "fed91000", "f050da");
        function("0000:00:00.0", 0x0600, "dmar1", "0");
        function("0000:00:02.0", 0x0300, "", "");
        function("0000:00:03.0", 0x0200, "dmar1", "1");
        Hosts host = tree().dmar(FIRST, ALL)
                .text("cmdline.txt", Hosts.LOG + "Kernel command line: intel_iommu=on,igfx_off\n");
        assertThat(host.audit("6.1").hints())
                .extracting(Reason::text)
                .anyMatch(text -> text.startsWith("remove intel_iommu=igfx_off from"));

        unit("dmar0", "fed90000", "f050da");
        assertThat(host.audit("6.1").hints()).extracting(Reason::text).noneMatch(text -> text.contains("igfx_off"));
    }

    @Test
    void aFunctionThatLinuxPutIntoNoGroupIsNotAssigned() throws IOException {
        unit("dmar0", "fed90000", "f050da");
        function("0000:00:00.0", 0x0600, "dmar0", "0");
        function("0000:00:03.0", 0x0200, "", "");
        for (Hosts host : List.of(
                tree(), new Hosts(folder.resolve("tables")).tree(folder).dmar(Hosts.unit(0xfed9_0000L, true)))) {
            Audit audit = host.audit("6.1", "00:03.0");
            AuditedDevice device = Hosts.device(audit, "00:03.0");
            assertThat(device.assignable()).isEqualTo(Answer.NO);
            assertThat(device.unit()).isNull();
            assertThat(device.guest()).isEqualTo(Guest.UNKNOWN);
            assertThat(device.why()).extracting(Reason::text).anyMatch(text -> text.contains("has no group for it"));
            assertThat(Headline.verdict(audit)).contains("VFIO refuses it");
        }
    }

    @Test
    void aLinkCountsBeforeAnIvrsToo() throws IOException {
        for (String name : List.of("ivhd0", "ivhd1")) {
            Path unit = Files.createDirectories(folder.resolve("sys/class/iommu/" + name + "/amd-iommu"));
            Files.writeString(unit.resolve("cap"), "40f\n");
            Files.writeString(unit.resolve("features"), "0:29d3\n");
        }
        function("0000:00:00.0", 0x0600, "", "");
        function("0000:00:03.0", 0x0200, "ivhd1", "1");
        Audit audit = tree().ivrs("00:03.0").audit("6.1");

        assertThat(Hosts.device(audit, "00:03.0").unit()).isEqualTo("ivhd1");
        assertThat(Hosts.device(audit, "00:03.0").guest()).isEqualTo(Guest.COHERENT);
        assertThat(audit.units()).hasSize(2);
        assertThat(audit.warnings())
                .contains(
                        "this Linux shows ivhd1, and IVRS has no such unit",
                        "0000:00:03.0 is translated by ivhd1 in this Linux, by ivhd0 as we read its IVRS");
    }
}
