// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.Set;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuCapability;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.LinuxRelease;
import org.iommu4j.Prot;
import org.iommu4j.spi.BootOptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** What a release of Linux changes about this driver, as its users see it. */
class AmdRulesTest {
    private final TestPlatform platform = new TestPlatform();

    private Iommu open(LinuxRelease release) {
        platform.release = release;
        return platform.open();
    }

    private IommuDevice device(Iommu iommu) {
        return iommu.probe(platform.function(0, 1, 0, 0)).orElseThrow();
    }

    static Iterable<LinuxRelease> known() {
        return LinuxRelease.known();
    }

    @Test
    void aReleaseThatIsNotKnownIsRefusedByName() {
        LinuxRelease old = new LinuxRelease(4, 19);
        assertThatThrownBy(() -> AmdRules.of(old))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("4.19")
                .hasMessageContaining("5.19-posted");
    }

    @ParameterizedTest
    @MethodSource("known")
    void inEveryReleaseDmaIsCoherentAndEveryLeafBlocksNoSnoop(LinuxRelease release) {
        Iommu iommu = open(release);
        IommuDevice device = device(iommu);
        assertThat(iommu.release()).isEqualTo(release);
        assertThat(iommu.capable(device, IommuCapability.CACHE_COHERENCY)).isTrue();
        for (DomainType type : new DomainType[] {DomainType.DMA, DomainType.UNMANAGED}) {
            IommuDomain domain = iommu.allocate(type, device);
            domain.attach(device);
            domain.map(0x1000, 0x5000, 4096, 1, Prot.READ);
            assertThat(leafOfDevice(0x100, 0x1000) >>> 60 & 1)
                    .as("FC, %s", type)
                    .isOne();
            domain.detach(device);
        }
    }

    /** Walks by numbers of its own: three levels of host tables. */
    private long leafOfDevice(int requesterId, long iova) {
        long table = platform.unit.deviceTableWord(requesterId, 0) & 0x000f_ffff_ffff_f000L;
        for (int level = 3; level > 1; level--) {
            table = platform.memory.load(table + (iova >>> (12 + 9 * (level - 1)) & 511) * 8) & 0x000f_ffff_ffff_f000L;
        }
        return platform.memory.load(table + (iova >>> 12 & 511) * 8);
    }

    @ParameterizedTest
    @CsvSource({
        "5.15, false, false",
        "5.18, false, false",
        "5.19-posted, true, false",
        "5.19, true, false",
        "6.1, true, false",
        "6.2, true, true",
        "7.1, true, true"
    })
    void enforcementCameWith519AndItsPredictionWith62(String name, boolean op, boolean capability) {
        Iommu iommu = open(LinuxRelease.named(name));
        IommuDevice device = device(iommu);
        IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device);
        assertThat(domain.cacheCoherencyEnforcement().isPresent()).isEqualTo(op);
        domain.cacheCoherencyEnforcement()
                .ifPresent(control -> assertThat(control.enforce()).isTrue());
        assertThat(iommu.capable(device, IommuCapability.ENFORCE_CACHE_COHERENCY))
                .isEqualTo(capability);
    }

    @ParameterizedTest
    @CsvSource({"6.19, 8, false, false", "7.0, 8, true, true", "7.1, 8, true, true", "7.1, 0, false, false"})
    void parentsOfNestedDomainsAreHostTablesSince70ButNestedDomainsAreNot(
            String name, long efr2, boolean control, boolean possible) {
        platform.efr |= 1L << 48 | 1 << 4 | 1L << 52; // GIoSup, GTSup, HDSup
        platform.unit.registers[0x1a0 / 8] = efr2;
        Iommu iommu = open(LinuxRelease.named(name));
        IommuDevice device = device(iommu);
        assertThat(platform.unit.registers[0x18 / 8] >>> 58 & 1)
                .as("GCR3TRPMode")
                .isEqualTo(control ? 1 : 0);
        assertThat(device.virtualIommuUnit().isPresent())
                .as("virtual IOMMUs, whatever the unit can do")
                .isEqualTo(LinuxRelease.named(name).isAtLeast(7, 0));
        for (Set<DomainFlag> flags :
                List.of(Set.of(DomainFlag.NEST_PARENT), Set.of(DomainFlag.NEST_PARENT, DomainFlag.DIRTY_TRACKING))) {
            if (!possible) {
                assertEopnotsupp(() -> iommu.allocate(DomainType.UNMANAGED, device, flags));
                continue;
            }
            IommuDomain parent = iommu.allocate(DomainType.UNMANAGED, device, flags);
            assertThat(parent.format()).isEqualTo("amd-host-v1");
            assertThat(parent.dirtyTracking().isPresent()).isEqualTo(flags.contains(DomainFlag.DIRTY_TRACKING));
            assertThat(parent.nesting()).as("no release can make them").isEmpty();
        }
        assertEopnotsupp(
                () -> iommu.allocate(DomainType.UNMANAGED, device, Set.of(DomainFlag.NEST_PARENT, DomainFlag.PASID)));
        assertEopnotsupp(() -> iommu.allocate(DomainType.NESTED, device));
    }

    private static void assertEopnotsupp(ThrowingCallable call) {
        assertThatThrownBy(call)
                .isInstanceOfSatisfying(
                        IommuException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EOPNOTSUPP));
    }

    @ParameterizedTest
    @CsvSource({"6.19, 1, 0x100000001", "7.0, 0x100000000, 0x100000000", "7.1, 1, 0x100000001"})
    void in70APassThroughEntryHasNoDomainIdAndLetsEveryDeviceHaveAnIotlb(String name, String without, String withAts) {
        Iommu iommu = open(LinuxRelease.named(name));
        IommuDevice device = device(iommu);
        IommuDomain identity = iommu.allocate(DomainType.IDENTITY, device);
        identity.attach(device);
        assertThat(platform.unit.deviceTableWord(0x100, 1)).isEqualTo(Long.decode(without));
        IommuDevice express = iommu.probe(platform.expressFunction(1, 1, 3)).orElseThrow();
        identity.attach(express);
        assertThat(platform.unit.deviceTableWord(0x101, 1)).isEqualTo(Long.decode(withAts));
        // Moving on and away puts it right.
        IommuDomain host = iommu.allocate(DomainType.UNMANAGED, device);
        host.attach(device);
        assertThat(platform.unit.deviceTableWord(0x100, 1)).isEqualTo(2);
        host.detach(device);
        assertThat(platform.unit.deviceTableWord(0x100, 1)).isZero();
    }

    @ParameterizedTest
    @CsvSource({"6.15, 0x800, true", "6.16, 0x800, false", "6.16, 0, true"})
    void theHyperTransportRangeIsLeftToDevicesSince616WhereEveryUnitTranslatesIt(
            String name, String efr2, boolean reserved) {
        platform.unit.registers[0x1a0 / 8] = Long.decode(efr2);
        assertThat(device(open(LinuxRelease.named(name))).reservedRegions())
                .filteredOn(region -> region.start() == 0xfd_0000_0000L)
                .hasSize(reserved ? 1 : 0);
    }

    @ParameterizedTest
    @CsvSource({"6.19, 0x0b0b000f, false", "7.0, 0x0b0b000f, false", "7.1, 0x0b0b000f, true", "7.1, 0x0a0b000f, false"})
    void thatADeviceHasAnIotlbIsToldSince71(String name, String capabilityHeader, boolean told) {
        platform.capabilityHeader = Integer.decode(capabilityHeader);
        Iommu iommu = open(LinuxRelease.named(name));
        IommuDevice express = iommu.probe(platform.expressFunction(1, 0, 3)).orElseThrow();
        assertThat(iommu.capable(express, IommuCapability.PCI_ATS_SUPPORTED)).isEqualTo(told);
        IommuDevice plain = iommu.probe(platform.function(0, 1, 0, 1)).orElseThrow();
        assertThat(iommu.capable(plain, IommuCapability.PCI_ATS_SUPPORTED)).isFalse();
    }

    @ParameterizedTest
    @CsvSource({
        "6.16, 1, 0x080, -1", // HATS 0
        "6.16, 1, 0x480, -1", // HATS 1
        "6.16, 1, 0xc80, -1", // HATS 3
        "6.16, 0, 0x080, -1", // no image
        "6.17, 1, 0x080, 0x0000ffffffffffff",
        "6.17, 1, 0x480, 0x01ffffffffffffff",
        "6.17, 1, 0x880, -1",
        "6.17, 0, 0x880, 0x0000ffffffffffff",
        "7.1, 0, 0x880, 0x0000ffffffffffff"
    })
    void hostTablesHaveTheLevelsOfFirmwaresImageSince617AndSixBefore(
            String name, int ivInfo, String image, String apertureEnd) {
        long efr = Long.decode(image);
        platform.ivrs = TestPlatform.table(
                ivInfo, TestPlatform.ivhd(0x11, 40, efr, TestPlatform.BASE, 2, TestPlatform.range(8, 0x1ff)));
        Iommu iommu = open(LinuxRelease.named(name));
        assertThat(iommu.allocate(DomainType.UNMANAGED, device(iommu)).apertureEnd())
                .isEqualTo(Long.decode(apertureEnd));
    }

    /** HATS of the image, HATDis of the block's attributes, GASup of the image, GTSup and GIoSup. */
    @ParameterizedTest
    @CsvSource({
        "6.16, 3, false, true, true, amd-host-v1",
        "6.17, 3, false, true, true, amd-guest-v2",
        "7.3, 3, false, false, true, amd-guest-v2",
        "6.16, 2, true, true, true, amd-host-v1",
        "6.17, 2, true, true, true, amd-guest-v2",
        "6.17, 2, true, false, true, amd-host-v1",
        "7.1, 2, true, false, true, amd-host-v1",
        "7.2, 2, true, false, true, amd-guest-v2",
        "7.2, 2, false, true, true, amd-host-v1",
        "6.16, 3, true, true, false, amd-host-v1",
        "6.17, 3, false, true, false, none",
        "7.2, 2, true, true, false, none"
    })
    void whatSaysThatThereAreNoHostTables(
            String name, long hats, boolean hatDis, boolean gaSup, boolean guestTables, String format) {
        long dirty = 1L << 52;
        platform.efr = 0x40
                | hats << 10
                | (gaSup ? 1 << 7 : 0)
                | dirty
                | (guestTables ? 1 << 1 | 1 << 4 | 2 << 14 | 15L << 32 | 1L << 48 : 0);
        byte[] block = TestPlatform.ivhd(0x11, 40, platform.efr, TestPlatform.BASE, 2, TestPlatform.range(8, 0x1ff));
        block[20] |= (byte) (hatDis ? 1 : 0);
        platform.ivrs = TestPlatform.table(1, block);
        Iommu iommu = open(LinuxRelease.named(name));
        if (format.equals("none")) {
            assertThat(iommu.probe(platform.function(0, 1, 0, 0))).isEmpty();
            return;
        }
        IommuDevice device = device(iommu);
        boolean host = format.equals("amd-host-v1");
        for (DomainType type : new DomainType[] {DomainType.DMA, DomainType.UNMANAGED}) {
            assertThat(iommu.allocate(type, device).format()).as("%s", type).isEqualTo(format);
        }
        assertThat(iommu.allocate(DomainType.IDENTITY, device).attach(device).attached())
                .isTrue();
        if (host) {
            assertThat(iommu.allocate(DomainType.UNMANAGED, device, Set.of(DomainFlag.DIRTY_TRACKING))
                            .format())
                    .isEqualTo(format);
        } else {
            assertThatThrownBy(() -> iommu.allocate(DomainType.UNMANAGED, device, Set.of(DomainFlag.DIRTY_TRACKING)))
                    .isInstanceOfSatisfying(
                            IommuException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EOPNOTSUPP));
            // The promise that no release keeps is now the default.
            assertThat(iommu.allocate(DomainType.UNMANAGED, device)
                            .cacheCoherencyEnforcement()
                            .orElseThrow()
                            .enforce())
                    .isTrue();
        }
    }

    @ParameterizedTest
    @CsvSource({"7.1, 48, 64", "7.2, 48, 48", "7.2, 40, 40", "7.2, 64, 64", "7.2, 0, 64", "7.3, 52, 52"})
    void hostAddressesAreAsWideAsFirmwareSaysSince72(String name, int addressSize, int bits) {
        platform.ivrs = TestPlatform.table(
                1 | addressSize << 15,
                TestPlatform.ivhd(0x11, 40, 0x8c0, TestPlatform.BASE, 2, TestPlatform.range(8, 0x1ff)));
        Iommu iommu = open(LinuxRelease.named(name));
        IommuDevice device = device(iommu);
        IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device);
        assertThat(domain.apertureEnd()).isEqualTo(bits == 64 ? -1L : (1L << bits) - 1);
        domain.attach(device);
        domain.map(domain.apertureEnd() - 4095, 0x5000, 4096, 1, Prot.READ);
        assertThat(domain.translate(domain.apertureEnd())).isEqualTo(0x5fff);
    }

    @ParameterizedTest
    @CsvSource({"7.1, true", "7.2, false", "7.3, false"})
    void entriesThatLeadToTablesAreForgottenOnlyWithTheirTablesSince72(String name, boolean always) {
        Iommu iommu = open(LinuxRelease.named(name));
        IommuDevice device = device(iommu);
        IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device);
        domain.attach(device);
        domain.map(0x20_0000, 0x5000, 4096, 512, Prot.READ);
        IotlbGather gather = new IotlbGather();
        platform.commands.clear();
        domain.unmap(0x20_0000, 4096, gather);
        domain.sync(gather);
        domain.map(0x20_0000, 0x5000, 4096, 1, Prot.READ);
        domain.unmap(0x20_0000, 1 << 21, gather);
        domain.sync(gather);
        assertThat(platform.commands.stream()
                        .filter(command -> command.startsWith("pages"))
                        .map(command -> command.substring(command.lastIndexOf(' ') + 1)))
                .as("bit 1 is PDE")
                .containsExactly(always ? "200002" : "200000", "2ff003");
    }

    @ParameterizedTest
    @CsvSource({"5.15, true", "6.18, true", "6.19, false", "7.3, false"})
    void bothFormatsHadTheSameOpsUntil618(String name, boolean same) {
        assertThat(open(LinuxRelease.named(name)).sharesOps()).isEqualTo(same);
    }

    @Test
    void noDomainTakesPasidsUnlessTheyAreAskedForByName() {
        platform.efr = 0x8c0 | 1 << 1 | 1 << 4 | 2 << 14 | 15L << 32 | 1L << 48;
        platform.bootOptions = new BootOptions("amd_iommu=pgtbl_v2");
        for (LinuxRelease release : LinuxRelease.known()) {
            Iommu iommu = open(release);
            IommuDevice device = iommu.probe(platform.expressFunction(1, 0, 16)).orElseThrow();
            assertThat(iommu.allocate(DomainType.DMA, device).pasidAttachment())
                    .as("%s", release)
                    .isEmpty();
            Set<DomainFlag> flags = Set.of(DomainFlag.PASID);
            assertThatThrownBy(() -> iommu.allocate(DomainType.UNMANAGED, device, flags))
                    .isInstanceOfSatisfying(
                            IommuException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EOPNOTSUPP));
            if (release.isAtLeast(6, 13)) {
                IommuDomain user = iommu.allocateForUser(device, flags);
                assertThat(user.format()).isEqualTo("amd-guest-v2");
                assertThat(user.pasidAttachment()).isEmpty();
            }
            iommu.close();
        }
    }

    @ParameterizedTest
    @CsvSource({"5.15, true", "7.0, true", "7.1, false"})
    void thatAFlushMayBeDeferredIsToldUntil70(String name, boolean told) {
        Iommu iommu = open(LinuxRelease.named(name));
        assertThat(iommu.capable(device(iommu), IommuCapability.DEFERRED_FLUSH)).isEqualTo(told);
    }

    @ParameterizedTest
    @CsvSource({"6.7, true", "6.6, false"})
    void writtenPagesAreRecordedSince67(String name, boolean capable) {
        platform.efr |= 1L << 52;
        Iommu iommu = open(LinuxRelease.named(name));
        assertThat(iommu.capable(device(iommu), IommuCapability.DIRTY_TRACKING)).isEqualTo(capable);
    }

    @ParameterizedTest
    @CsvSource({
        "5.15, 0xffffff7ffffff000",
        "6.1, 0xffffff7ffffff000",
        "6.9, 0xffffff7ffffff000",
        "6.10, 0x000fff7ffffff000",
        "6.12, 0x000fff7ffffff000",
        "7.1, 0x000fff7ffffff000"
    })
    void pageSizesOfHostTablesEndWherePhysicalAddressesDoSince610(String name, String sizes) {
        platform.withImage();
        Iommu iommu = open(LinuxRelease.named(name));
        IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device(iommu));
        assertThat(domain.pageSizes()).isEqualTo(Long.parseUnsignedLong(sizes.substring(2), 16));
    }

    @Test
    void before610ThePageOfAllPhysicalMemoryIsMappedAndLargerOnesAreOutOfRange() {
        Iommu iommu = open(LinuxRelease.named("6.1"));
        IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device(iommu));
        long all = 1L << 52;
        for (long size : new long[] {all << 1, 1L << 57, 1L << 63}) {
            assertThatThrownBy(() -> domain.map(0, 0, size, 1, Prot.READ))
                    .as("page of 0x%x", size)
                    .isInstanceOfSatisfying(
                            IommuException.class, e -> assertThat(e.errno()).isEqualTo(Errno.ERANGE));
        }
        domain.map(all, 0, all, 1, Prot.READ);
        assertThat(domain.translate(2 * all - 1)).isEqualTo(all - 1);
        assertThat(domain.translate(all - 1)).isEqualTo(IommuDomain.UNMAPPED);
        assertThat(domain.unmap(all, all, new IotlbGather())).isEqualTo(all);
        assertThat(domain.translate(all)).isEqualTo(IommuDomain.UNMAPPED);
    }
}
