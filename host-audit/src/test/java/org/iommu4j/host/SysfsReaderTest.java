// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.OptionalLong;
import org.iommu4j.ReservedRegion;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SysfsReaderTest {
    private static final PciAddress GRAPHICS = PciAddress.parse("0000:00:02.0");

    @TempDir
    private Path folder;

    private Path function(String address, byte[] config) throws IOException {
        Path device = Files.createDirectories(folder.resolve("sys/bus/pci/devices/" + address));
        Files.write(device.resolve("config"), config);
        return device;
    }

    private HostEvidence read() {
        return HostInputs.withInstalledVendors().capture(folder).read();
    }

    @Test
    void aFunctionIsReadWithItsWholeConfigurationSpace() throws IOException {
        function("0000:00:02.0", HostFixtures.express(0x0810));
        FunctionEvidence function = read().function(GRAPHICS).orElseThrow();
        assertThat(function.knowledge()).isEqualTo(ConfigKnowledge.ALL);
        assertThat(function.deviceControl()).hasValue(0x0810);
        assertThat(function.noSnoopEnabled()).isEqualTo(Answer.YES);
        assertThat(function.vendorId()).hasValue(0x8086);
    }

    @Test
    void ofAFunctionSeenWithoutPrivilegeNoCapabilityIsKnown() throws IOException {
        function("0000:00:02.0", Arrays.copyOf(HostFixtures.express(0x0810), 64));
        FunctionEvidence function = read().function(GRAPHICS).orElseThrow();
        assertThat(function.knowledge()).isEqualTo(ConfigKnowledge.HEADER);
        assertThat(function.pciExpress()).isEqualTo(Answer.UNKNOWN);
        assertThat(function.noSnoopEnabled()).isEqualTo(Answer.UNKNOWN);
        assertThat(read().topologyKnown()).isFalse();
    }

    @Test
    void firmwaresDeviceTreeIsKeptWhereItCanBeRead() throws IOException {
        function("0000:00:02.0", HostFixtures.express(0x0810));
        assertThat(read().firmware().deviceTree()).isEmpty();
        ByteBuffer tree = ByteBuffer.allocate(72);
        for (int word : new int[] {0xd00dfeed, 72, 56, 72, 40, 17, 16, 0, 0, 16, 0, 0, 0, 0, 1, 0, 2, 9}) {
            tree.putInt(word);
        }
        Path file = Files.createDirectories(folder.resolve("sys/firmware")).resolve("fdt");
        Files.write(file, tree.array());
        HostEvidence host = read();
        assertThat(host.firmware().deviceTree()).contains(tree.array());
        assertThat(host.tables()).as("ACPI tables").isEmpty();
        assertThat(host.tableSources()).containsEntry("device tree", "sysfs");

        Files.write(file, Arrays.copyOf(tree.array(), 71));
        assertThat(read().firmware().deviceTree()).isEmpty();
        assertThat(read().warnings())
                .contains("sysfs: device tree at offset 0x4: declared size is 72, expected 40 to the 71 bytes present");
    }

    @Test
    void aFunctionThatDoesNotAnswerIsUnknown() throws IOException {
        byte[] ones = new byte[4096];
        Arrays.fill(ones, (byte) -1);
        Path device = function("0000:00:02.0", ones);
        Files.writeString(device.resolve("vendor"), "0x8086\n");
        FunctionEvidence function = read().function(GRAPHICS).orElseThrow();
        assertThat(function.knowledge()).isEqualTo(ConfigKnowledge.NONE);
        assertThat(function.vendorId()).hasValue(0x8086);
    }

    /** A function without ids is a virtual one; the bit is its physical function's, and reserved in itself. */
    @Test
    void theBitOfAVirtualFunctionIsUnknownWhileItsPhysicalOneIs() throws IOException {
        byte[] virtual = HostFixtures.express(0x0010);
        Arrays.fill(virtual, 0, 4, (byte) -1);
        function("0000:00:02.0", virtual);
        FunctionEvidence function = read().function(GRAPHICS).orElseThrow();
        assertThat(function.pciExpress()).isEqualTo(Answer.YES);
        assertThat(function.noSnoopEnabled()).isEqualTo(Answer.UNKNOWN);
    }

    @Test
    void functionsBelowAVmdAreMembersOfItsGroup() throws IOException {
        Path vmd = Files.createDirectories(folder.resolve("sys/devices/pci0000:00/0000:00:0e.0"));
        Files.write(vmd.resolve("config"), HostFixtures.express(0));
        Path disk = Files.createDirectories(vmd.resolve("pci10000:e0/10000:e0:06.0/10000:e1:00.0"));
        Files.write(disk.resolve("config"), HostFixtures.express(0x0810));
        Files.write(disk.getParent().resolve("config"), HostFixtures.express(0));
        Path bus = Files.createDirectories(folder.resolve("sys/bus/pci/devices"));
        Path members = Files.createDirectories(folder.resolve("sys/kernel/iommu_groups/9/devices"));
        for (Path device : new Path[] {vmd, disk.getParent(), disk}) {
            Files.createSymbolicLink(bus.resolve(device.getFileName()), bus.relativize(device));
            Files.createSymbolicLink(members.resolve(device.getFileName()), members.relativize(device));
        }
        HostEvidence host = read();
        assertThat(host.groups().get(9).members())
                .containsExactly(
                        PciAddress.parse("00:0e.0"),
                        PciAddress.parse("10000:e0:06.0"),
                        PciAddress.parse("10000:e1:00.0"));
        assertThat(host.function(PciAddress.parse("10000:e1:00.0"))
                        .orElseThrow()
                        .noSnoopEnabled())
                .isEqualTo(Answer.YES);
        assertThat(host.warnings()).isEmpty();
    }

    /** VFIO makes a group of this name where no IOMMU is. */
    @Test
    void aGroupOfVfioWithoutIommuIsNone() throws IOException {
        Path device = function("0000:00:02.0", HostFixtures.express(0));
        Path group = Files.createDirectories(folder.resolve("sys/kernel/iommu_groups/0"));
        Files.writeString(group.resolve("name"), "vfio-noiommu\n");
        Files.createDirectory(group.resolve("devices"));
        Files.createSymbolicLink(device.resolve("iommu_group"), Path.of("../../../../kernel/iommu_groups/0"));
        Files.createSymbolicLink(
                group.resolve("devices/0000:00:02.0"), Path.of("../../../../bus/pci/devices/0000:00:02.0"));
        Files.writeString(folder.resolve("dmesg.txt"), """
                [ 0.0] Linux version 6.1.0-56-amd64 (me@myhost) (gcc) #1
                [ 2.0] Run /init as init process
                [ 9.0] vfio-pci 0000:00:02.0: Adding to iommu group 0
                [ 9.0] vfio-pci 0000:00:02.0: Adding kernel taint for vfio-noiommu group on device
                """);
        HostEvidence host = read();
        assertThat(host.iommuInUse()).isEqualTo(Answer.NO);
        assertThat(host.groups()).isEmpty();
        assertThat(host.function(GRAPHICS).orElseThrow().group()).isEmpty();
        assertThat(host.warnings()).isEmpty();
    }

    @Test
    void besideRealGroupsAFunctionOfVfioWithoutIommuIsInNone() throws IOException {
        function("0000:00:02.0", HostFixtures.express(0));
        function("0000:00:03.0", HostFixtures.express(0));
        Path groups = Files.createDirectories(folder.resolve("sys/kernel/iommu_groups"));
        Files.createDirectories(groups.resolve("0/devices/0000:00:03.0"));
        Files.createDirectories(groups.resolve("1/devices/0000:00:02.0"));
        Files.writeString(groups.resolve("1/name"), "vfio-noiommu\n");
        HostEvidence host = read();
        assertThat(host.iommuInUse()).isEqualTo(Answer.YES);
        assertThat(host.groups().keySet()).containsExactly(0);
        assertThat(host.function(GRAPHICS).orElseThrow().grouped()).isEqualTo(Answer.NO);
    }

    @Test
    void aUnitWhoseAttributesCannotBeReadIsInSysfsAllTheSame() throws IOException {
        function("0000:00:02.0", HostFixtures.express(0));
        Path units = Files.createDirectories(folder.resolve("sys/class/iommu"));
        Files.createSymbolicLink(units.resolve("dmar0"), Path.of("../../devices/virtual/iommu/dmar0"));
        Files.writeString(
                folder.resolve("dmesg.txt"),
                "DMAR: dmar1: reg_base_addr fed91000 ver 1:0 cap d2008c40660462 ecap f050da\n");
        HostEvidence host = read();
        assertThat(host.units().get("dmar0").inSysfs()).isTrue();
        assertThat(host.units().get("dmar1").inSysfs()).isFalse();
    }

    @Test
    void unitsGroupsDriversAndTheKernelAreRead() throws IOException {
        Path device = function("0000:00:02.0", HostFixtures.express(0));
        Path unit = Files.createDirectories(folder.resolve("sys/class/iommu/dmar0/intel-iommu"));
        Files.writeString(unit.resolve("address"), "fed90000\n");
        Files.writeString(unit.resolve("version"), "1:0\n");
        Files.writeString(unit.resolve("cap"), "1c0000c40660462\n");
        Files.writeString(unit.resolve("ecap"), "19e2ff0505e\n");
        Path group = Files.createDirectories(folder.resolve("sys/kernel/iommu_groups/1"));
        Files.writeString(group.resolve("type"), "DMA-FQ\n");
        Files.writeString(
                group.resolve("reserved_regions"),
                "0x000000009d800000 0x000000009fffffff direct-relaxable\n0x00000000fee00000 0x00000000feefffff msi\n");
        Files.createDirectories(folder.resolve("sys/bus/pci/drivers/i915"));
        Files.createSymbolicLink(device.resolve("driver"), Path.of("../../drivers/i915"));
        Files.createSymbolicLink(device.resolve("iommu_group"), Path.of("../../../../kernel/iommu_groups/1"));
        Files.createSymbolicLink(device.resolve("iommu"), Path.of("../../../../class/iommu/dmar0"));
        Path proc = Files.createDirectories(folder.resolve("proc"));
        Files.writeString(proc.resolve("version"), "Linux version 6.1.0-56-amd64 (debian) (gcc-12) #1 SMP\n");
        Files.writeString(proc.resolve("cmdline"), "quiet intel_iommu=on,sm_off\n");

        HostEvidence host = read();
        assertThat(host.registers().value("dmar0", OptionalLong.of(0xfed9_0000L), "ECAP"))
                .hasValue(0x19e2ff0505eL);
        assertThat(host.units().get("dmar0").registerBase()).hasValue(0xfed9_0000L);
        FunctionEvidence graphics = host.function(GRAPHICS).orElseThrow();
        assertThat(graphics.driver().orElseThrow().value()).isEqualTo("i915");
        assertThat(graphics.unit().orElseThrow().value()).isEqualTo("dmar0");
        assertThat(host.groups().get(1).members()).containsExactly(GRAPHICS);
        assertThat(host.groups().get(1).type().orElseThrow().value()).isEqualTo("DMA-FQ");
        assertThat(host.groups().get(1).reservedRegions().orElseThrow().value())
                .containsExactly(
                        new ReservedRegion(0x9d80_0000L, 0x9fff_ffffL, ReservedRegion.Type.DIRECT_RELAXABLE),
                        new ReservedRegion(0xfee0_0000L, 0xfeef_ffffL, ReservedRegion.Type.MSI));
        assertThat(host.linux().orElseThrow()).hasToString("6.1.0-56-amd64");
        assertThat(host.bootOptions().has("intel_iommu", "sm_off")).isTrue();
        assertThat(host.iommuInUse()).isEqualTo(Answer.YES);
        assertThat(host.warnings()).isEmpty();
    }

    @Test
    void anEmptyDirectoryOfGroupsSaysThatNoIommuIsInUse() throws IOException {
        function("0000:00:02.0", HostFixtures.express(0));
        assertThat(read().iommuInUse()).isEqualTo(Answer.UNKNOWN);
        Files.createDirectories(folder.resolve("sys/kernel/iommu_groups"));
        assertThat(read().iommuInUse()).isEqualTo(Answer.NO);
    }

    @Test
    void namesComeFromTheHostsOwnList() throws IOException {
        Path device = function("0000:00:02.0", HostFixtures.express(0));
        Files.writeString(device.resolve("class"), "0x030000\n");
        Path ids = Files.createDirectories(folder.resolve("usr/share/misc"));
        Files.writeString(ids.resolve("pci.ids"), """
                # a comment
                1af4  Other
                \t1616  Wrong
                8086  Maker
                \t1616  Graphics 5500
                \t\t1234 5678  A board
                C 03  Display controller
                \t00  VGA compatible controller
                """);
        FunctionEvidence graphics = read().function(GRAPHICS).orElseThrow();
        assertThat(graphics.name()).contains("Maker Graphics 5500");
        assertThat(graphics.className()).contains("VGA compatible controller");
    }

    @Test
    void unreadableRegionsAreNamedAndNotGuessed() throws IOException {
        Path group = Files.createDirectories(folder.resolve("sys/kernel/iommu_groups/1"));
        Files.writeString(group.resolve("reserved_regions"), "0x2 0x1 msi\n");
        HostEvidence host = read();
        assertThat(host.groups().get(1).reservedRegions()).isEmpty();
        assertThat(host.warnings()).singleElement().asString().contains("group 1 has '0x2 0x1 msi'");
    }

    @Test
    void theRunningHostIsReadInPlace() throws IOException {
        Path device = Files.createDirectories(folder.resolve("sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0"));
        Files.write(device.resolve("config"), HostFixtures.express(0x0800));
        Path bus = Files.createDirectories(folder.resolve("sys/bus/pci/devices"));
        Files.createSymbolicLink(
                bus.resolve("0000:01:00.0"), Path.of("../../../devices/pci0000:00/0000:00:01.0/0000:01:00.0"));
        Files.createSymbolicLink(bus.resolve("0000:00:01.0"), Path.of("../../../devices/pci0000:00/0000:00:01.0"));
        HostEvidence host = HostInputs.withInstalledVendors().live(folder).read();
        assertThat(host.function(PciAddress.parse("0000:01:00.0")).orElseThrow().upstreamBridge())
                .contains(PciAddress.parse("0000:00:01.0"));
        assertThat(host.function(PciAddress.parse("0000:01:00.0")).orElseThrow().noSnoopEnabled())
                .isEqualTo(Answer.YES);
    }
}
