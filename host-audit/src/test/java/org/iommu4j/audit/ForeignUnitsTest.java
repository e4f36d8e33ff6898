// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.host.ForeignUnits;
import org.iommu4j.host.HostEvidence;
import org.iommu4j.host.HostInputs;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.support.FlatMemory;
import org.iommu4j.platform.support.FramePool;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.BootOptions;
import org.iommu4j.spi.CoherencyRule;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.spi.Reason;
import org.iommu4j.spi.VendorContext;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Hosts whose units no vendor on the path drives, as their own Linux shows them. */
class ForeignUnitsTest {
    private static final String CARD = "0000:01:00.0";

    @TempDir
    private Path folder;

    /** A host with one unit and a card that Linux links to it. */
    private HostEvidence host(String unit) throws IOException {
        byte[] config = new byte[4096];
        ByteBuffer bytes = ByteBuffer.wrap(config).order(ByteOrder.LITTLE_ENDIAN);
        bytes.putInt(0x00, 0x1533_8086).putShort(0x06, (short) 0x10).putInt(0x08, 0x0200_0000);
        bytes.put(0x34, (byte) 0x40).putShort(0x40, (short) 0x10).putShort(0x42, (short) 0x02);
        bytes.putShort(0x48, (short) 0x0810);
        Path function = Files.createDirectories(folder.resolve("sys/devices/pci0000:00/" + CARD));
        Path devices = Files.createDirectories(folder.resolve("sys/bus/pci/devices"));
        Files.createSymbolicLink(devices.resolve(CARD), Path.of("../../../devices/pci0000:00/" + CARD));
        Files.write(function.resolve("config"), config);
        Files.createDirectories(folder.resolve("sys/class/iommu/" + unit));
        Files.createSymbolicLink(function.resolve("iommu"), Path.of("../../../class/iommu/" + unit));
        Path group = Files.createDirectories(folder.resolve("sys/kernel/iommu_groups/3/devices"));
        Files.createSymbolicLink(group.resolve(CARD), Path.of("../../../../devices/pci0000:00/" + CARD));
        Files.createSymbolicLink(function.resolve("iommu_group"), Path.of("../../../kernel/iommu_groups/3"));
        return HostInputs.withInstalledVendors().capture(folder).read();
    }

    private static Audit audit(HostEvidence host, IommuVendors vendors, String release) {
        return new Auditor(vendors).audit(host, Optional.of(LinuxRelease.named(release)), List.of());
    }

    private static AuditedDevice card(Audit audit) {
        return audit.devices().stream()
                .filter(device -> device.address().equals(PciAddress.parse(CARD)))
                .findFirst()
                .orElseThrow();
    }

    @ParameterizedTest
    @CsvSource({
        "smmu3.0x0000000009050000, smmuv3, PER_ROOT_COMPLEX",
        "smmu.0x00000000e0800000, smmu, NEVER",
        "virtio3, virtioiommu, NEVER",
        "apple-dart.231004000.iommu, appledart, NEVER",
        "hv-iommu, hyperv, NEVER",
        "riscv-iommu@0000:00:01.0, riscv, NEVER"
    })
    void aUnitIsKnownByTheNameThatLinuxGivesIt(String unit, String vendor, CoherencyRule rule) throws IOException {
        Audit audit = audit(host(unit), IommuVendors.load(), "7.1");
        assertThat(audit.units()).singleElement().satisfies(each -> {
            assertThat(each.vendor()).isEqualTo(vendor);
            assertThat(each.rule()).isEqualTo(rule);
            assertThat(each.description().id()).isEqualTo(unit);
            assertThat(each.devices()).containsExactly(PciAddress.parse(CARD));
        });
        assertThat(card(audit).translated()).isEqualTo(Answer.YES);
        assertThat(card(audit).unit()).isEqualTo(unit);
    }

    @Test
    void anUnknownNameLeavesTheUnitUnknown() throws IOException {
        Audit audit = audit(host("new-iommu.0"), IommuVendors.load(), "7.1");
        assertThat(audit.units()).isEmpty();
        assertThat(card(audit).translated()).isEqualTo(Answer.UNKNOWN);
    }

    /** From 6.13 on it depends on a flag of IORT, which is not read. */
    @ParameterizedTest
    @CsvSource({"6.12, NO, NONCOHERENT", "6.13, UNKNOWN, UNKNOWN", "7.1, UNKNOWN, UNKNOWN"})
    void onAnSmmuV3TheRootComplexDecidesSince613(String release, Answer enforces, Guest guest) throws IOException {
        AuditedDevice card = card(audit(host("smmu3.0x0000000009050000"), IommuVendors.load(), release));
        assertThat(card.enforceCacheCoherency()).isEqualTo(enforces);
        assertThat(card.guest()).isEqualTo(guest);
    }

    /** A flag of IORT is no reason under a release that does not ask for it, and WBINVD is of x86. */
    @Test
    void onArmNothingIsSaidOfX86() throws IOException {
        Audit audit = new Hosts(folder).text("dmesg.txt", """
                        arm-smmu-v3 arm-smmu-v3.0.auto: ias 48-bit, oas 48-bit (features 0x000c1fff)
                        arm-smmu-v3 arm-smmu-v3.1.auto: ias 48-bit, oas 48-bit (features 0x000c1fff)
                        pci 000c:01:00.0: Adding to iommu group 1
                        """).audit("6.8");
        AuditedDevice card = audit.devices().get(0);
        assertThat(card.why().get(0).text()).isEqualTo("the driver can't block no-snoop before 6.13");
        assertThat(card.candidates()).containsExactly("arm-smmu-v3.0.auto", "arm-smmu-v3.1.auto");
        assertThat(audit.cost()).doesNotContain("WBINVD");
        assertThat(audit.warnings()).noneMatch(warning -> warning.startsWith("registers of"));
    }

    @ParameterizedTest
    @CsvSource({"apple-dart.231004000.iommu", "hv-iommu", "riscv-iommu@0000:00:01.0"})
    void vfioTakesNoDeviceWhoseDriverDoesNotPromiseCoherentDma(String unit) throws IOException {
        HostEvidence host = host(unit);
        AuditedDevice card = card(audit(host, IommuVendors.load(), "5.19"));
        assertThat(card.assignable()).isEqualTo(Answer.NO);
        assertThat(card.obstacles())
                .extracting(Reason::text)
                .contains("its IOMMU's driver does not promise coherent DMA, EINVAL");
        assertThat(card(audit(host, IommuVendors.load(), "5.18")).obstacles())
                .extracting(Reason::text)
                .doesNotContain("its IOMMU's driver does not promise coherent DMA, EINVAL");
    }

    @ParameterizedTest
    @CsvSource({"smmu3.0x0000000009050000", "smmu.0x00000000e0800000", "virtio3"})
    void theOtherDriversPromiseIt(String unit) throws IOException {
        assertThat(card(audit(host(unit), IommuVendors.load(), "7.1")).obstacles())
                .extracting(Reason::text)
                .noneMatch(text -> text.contains("promise"));
    }

    @Test
    void aVendorOnThePathTakesPrecedenceForItsUnits() throws IOException {
        String unit = "riscv-iommu@0000:00:01.0";
        MadeUpVendor vendor =
                new MadeUpVendor("mine").unit(unit, Answer.YES, Answer.YES).has(CARD, unit, Answer.YES);
        Audit audit = audit(host(unit), IommuVendors.of(List.of(vendor)), "7.1");
        assertThat(audit.units()).extracting(AuditedUnit::vendor).containsExactly("mine");
        assertThat(card(audit).guest()).isEqualTo(Guest.COHERENT);
    }

    @Test
    void theLinesOfTheirDriversMakeALogKnown() throws IOException {
        Path log = Files.writeString(
                folder.resolve("log.txt"),
                "[    1.0] arm-smmu-v3 arm-smmu-v3.0.auto: ias 44-bit, oas 44-bit (features 0x00008305)\n");
        HostEvidence host = HostInputs.withInstalledVendors().path(log).read();
        assertThat(host.iommuInUse()).isEqualTo(Answer.YES);
    }

    @Test
    void noneOfThemHasADriverHere() {
        for (IommuVendor foreign : ForeignUnits.all()) {
            assertThat(foreign.name()).matches("[a-z0-9]+");
            assertThat(foreign.claims(signature -> Optional.of(new byte[0]))).isFalse();
        }
        assertThat(ForeignUnits.all()).extracting(IommuVendor::name).doesNotHaveDuplicates();
        FlatMemory memory = new FlatMemory(1 << 20);
        VendorContext context = new VendorContext(
                memory,
                new FramePool(0, 1 << 20),
                (base, size) -> {
                    throw new IllegalStateException("no unit has registers here");
                },
                (condition, deadline) -> condition.getAsBoolean(),
                signature -> Optional.empty(),
                List::of,
                BootOptions.DEFAULT,
                LinuxRelease.NEWEST);
        assertThatExceptionOfType(IommuException.class)
                .isThrownBy(() -> ForeignUnits.all().get(0).open(context))
                .matches(e -> e.errno() == Errno.ENODEV);
    }

    @ParameterizedTest
    @CsvSource({
        "arm-smmu-v3 arm-smmu-v3.0.auto: ias 44-bit, arm-smmu-v3.0.auto, PER_ROOT_COMPLEX",
        "arm-smmu-v3 9050000.iommu: ias 48-bit, arm-smmu-v3@9050000.iommu, PER_ROOT_COMPLEX",
        "arm-smmu 5000000.iommu: probing hardware configuration..., arm-smmu@5000000.iommu, NEVER",
        "arm-smmu arm-smmu.1.auto: SMMUv2 with:, arm-smmu.1.auto, NEVER",
        "virtio_iommu virtio0: input address: 64 bits, virtio0, NEVER",
        "apple-dart 231304000.iommu: DART [pagesize 4000] initialized, apple-dart.231304000.iommu, NEVER",
        "'riscv,iommu 3010000.iommu: using wire-signaled interrupts', riscv-iommu@3010000.iommu, NEVER",
        "riscv-iommu-pci 0000:00:01.0: using MSI interrupts, riscv-iommu@0000:00:01.0, NEVER"
    })
    void aLineOfItsDriverNamesTheUnitAndGroupsAreBehindIt(String line, String unit, CoherencyRule rule)
            throws IOException {
        Path log = Files.writeString(
                folder.resolve("dmesg.txt"),
                "[    1.0] " + line + "\n[    1.1] pci " + CARD + ": Adding to iommu group 3\n");
        Audit audit = audit(HostInputs.withInstalledVendors().path(log).read(), IommuVendors.load(), "6.12");
        assertThat(audit.units()).singleElement().satisfies(found -> {
            assertThat(found.description().id()).isEqualTo(unit);
            assertThat(found.devices()).containsExactly(PciAddress.parse(CARD));
        });
        assertThat(audit.rule()).isEqualTo(rule);
        assertThat(card(audit).translated()).isEqualTo(Answer.YES);
        assertThat(card(audit).guest()).isEqualTo(Guest.NONCOHERENT);
    }

    @Test
    void theNamesThatATreeShowsTakePrecedenceOverThoseOfTheLog() throws IOException {
        host("smmu3.0x0000000009050000");
        Path log = Files.writeString(
                folder.resolve("dmesg.txt"), "arm-smmu-v3 arm-smmu-v3.0.auto: ias 44-bit, oas 44-bit (features 0x1)\n");
        HostEvidence both =
                HostInputs.withInstalledVendors().capture(folder).path(log).read();
        assertThat(audit(both, IommuVendors.load(), "6.12").units())
                .extracting(unit -> unit.description().id())
                .containsExactly("smmu3.0x0000000009050000");
    }

    @ParameterizedTest
    @CsvSource({
        "platform 3000000.usb: Adding to iommu group 3, 3000000.usb",
        "amba 2c1f0000.dma: Adding to iommu group 3, 2c1f0000.dma",
        "iommu: Adding device 3000000.usb to group 3, 3000000.usb"
    })
    void devicesThatAreNotOnPciAreInGroups(String line, String name) throws IOException {
        Path log = Files.writeString(
                folder.resolve("dmesg.txt"),
                "[    1.1] " + line + "\n[    1.2] platform a.b: Adding to iommu group 4\n[    1.3] pci " + CARD
                        + ": Adding to iommu group 4\n");
        Audit audit = audit(HostInputs.withInstalledVendors().path(log).read(), IommuVendors.load(), "6.12");
        assertThat(audit.iommuInUse()).isEqualTo(Answer.YES);
        assertThat(audit.groups()).hasSize(2);
        assertThat(audit.groups().get(0).named()).containsExactly(name);
        assertThat(audit.groups().get(0).devices()).isEmpty();
        assertThat(audit.groups().get(0).guest()).isEqualTo(Guest.UNKNOWN);
        assertThat(audit.groups().get(1).inWords()).isEqualTo(CARD + ", a.b");
        assertThat(audit.groups().get(1).viable()).isEqualTo(Answer.UNKNOWN);
        assertThat(audit.groups().get(1).blame())
                .anyMatch(reason -> reason.text().contains("a.b"));
    }
}
