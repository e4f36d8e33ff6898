// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.EnumSet;
import java.util.Set;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.LinuxRelease;
import org.iommu4j.Prot;
import org.iommu4j.capability.PasidAttachment;
import org.iommu4j.spi.BootOptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Guest (v2) tables, GCR3 tables and PASIDs over a hand-made unit: entries by numbers of the test's own, and commands.
 */
class GuestTablesTest {
    private static final long K4 = 4096;
    private static final long FRAME = 0x000f_ffff_ffff_f000L;

    /** IASup, PPRSup, GTSup, HATS 2, GLXSup 2, PASmax 15, GIoSup. */
    private static final long GUEST_EFR = 0x8c0 | 1 << 1 | 1 << 4 | 2 << 14 | 15L << 32 | 1L << 48;

    private final TestPlatform platform = new TestPlatform();
    private final IotlbGather gather = new IotlbGather();

    GuestTablesTest() {
        platform.efr = GUEST_EFR;
    }

    private static void refuses(Errno errno, ThrowingCallable call) {
        assertThatThrownBy(call)
                .isInstanceOfSatisfying(
                        IommuException.class, e -> assertThat(e.errno()).isEqualTo(errno));
    }

    private IommuDevice device(AmdIommu iommu) {
        return iommu.probe(platform.expressFunction(1, 0, 16)).orElseThrow();
    }

    private static IommuDomain guest(AmdIommu iommu, IommuDevice device) {
        return iommu.allocate(DomainType.UNMANAGED, device, Set.of(DomainFlag.PASID));
    }

    private long rootOf(int requesterId, int pasid) {
        return platform.unit.guestRoot(requesterId, pasid);
    }

    private long entry(long root, long iova, int level) {
        long table = root;
        for (int l = 4; l > level; l--) {
            table = platform.memory.load(table + (iova >>> (12 + 9 * (l - 1)) & 511) * 8) & FRAME;
        }
        return platform.memory.load(table + (iova >>> (12 + 9 * (level - 1)) & 511) * 8);
    }

    // --- which table ---

    @ParameterizedTest
    @CsvSource({
        "6.0, amd-host-v1, amd-host-v1",
        "6.1, amd-guest-v2, amd-host-v1",
        "6.12, amd-guest-v2, amd-host-v1",
        "6.13, amd-guest-v2, amd-guest-v2",
        "7.1, amd-guest-v2, amd-guest-v2"
    })
    void theCommandLineChoosesGuestTablesAsFarAsTheReleaseListens(String release, String dma, String unmanaged) {
        platform.release = LinuxRelease.named(release);
        platform.bootOptions = new BootOptions("amd_iommu=pgtbl_v2 iommu4j.amd=pasids");
        AmdIommu iommu = platform.open();
        IommuDevice device = device(iommu);
        assertThat(iommu.allocate(DomainType.DMA, device).format()).isEqualTo(dma);
        assertThat(iommu.allocate(DomainType.UNMANAGED, device).format()).isEqualTo(unmanaged);
    }

    @Test
    void domainsForPasidsCameWith613() {
        platform.release = LinuxRelease.named("6.13");
        AmdIommu iommu = platform.open();
        assertThat(guest(iommu, device(iommu)).format()).isEqualTo("amd-guest-v2");
        TestPlatform older = new TestPlatform();
        older.efr = GUEST_EFR;
        older.release = LinuxRelease.named("6.12");
        AmdIommu other = older.open();
        IommuDevice device = other.probe(older.expressFunction(1, 0, 16)).orElseThrow();
        refuses(Errno.EOPNOTSUPP, () -> guest(other, device));
    }

    @ParameterizedTest
    @CsvSource({
        "amd_iommu=pgtbl_v2 amd_iommu=pgtbl_v1, amd-host-v1",
        "'amd_iommu=pgtbl_v2,pgtbl_v1', amd-host-v1",
        "amd_iommu=pgtbl_v1 quiet amd_iommu=pgtbl_v2, amd-guest-v2",
        "'amd_iommu=pgtbl_v1,pgtbl_v2 amd_iommu=force_isolation', amd-guest-v2"
    })
    void ofTwoTablesTheCommandLineChoosesTheLast(String commandLine, String format) {
        platform.bootOptions = new BootOptions(commandLine);
        AmdIommu iommu = platform.open();
        assertThat(iommu.allocate(DomainType.DMA, device(iommu)).format()).isEqualTo(format);
    }

    @Test
    void aUnitWithoutGuestTablesFallsBackToHostTablesAndRefusesPasids() {
        platform.efr = GUEST_EFR & ~(1L << 48);
        platform.bootOptions = new BootOptions("amd_iommu=pgtbl_v2 iommu4j.amd=pasids");
        AmdIommu iommu = platform.open();
        IommuDevice device = device(iommu);
        assertThat(iommu.allocate(DomainType.DMA, device).format()).isEqualTo("amd-host-v1");
        assertThat(device.maxPasids()).isZero();
        refuses(Errno.EOPNOTSUPP, () -> guest(iommu, device));
    }

    @Test
    void flagsThatLinuxRefusesAreRefused() {
        platform.efr |= 1L << 52;
        AmdIommu iommu = platform.open();
        IommuDevice device = device(iommu);
        assertThat(guest(iommu, device).format()).isEqualTo("amd-guest-v2");
        IommuDomain dirty = iommu.allocate(DomainType.UNMANAGED, device, Set.of(DomainFlag.DIRTY_TRACKING));
        assertThat(dirty.format()).isEqualTo("amd-host-v1");
        assertThat(dirty.dirtyTracking()).isPresent();
        int ids = iommu.state().domainIds().inUse();
        refuses(Errno.EOPNOTSUPP, () -> iommu.allocate(DomainType.UNMANAGED, device, EnumSet.allOf(DomainFlag.class)));
        refuses(
                Errno.EOPNOTSUPP,
                () -> iommu.allocate(
                        DomainType.UNMANAGED, device, Set.of(DomainFlag.PASID, DomainFlag.DIRTY_TRACKING)));
        refuses(Errno.EOPNOTSUPP, () -> iommu.allocate(DomainType.UNMANAGED, device, Set.of(DomainFlag.NEST_PARENT)));
        refuses(Errno.EINVAL, () -> iommu.allocate(DomainType.DMA, device, Set.of(DomainFlag.PASID)));
        refuses(Errno.EOPNOTSUPP, () -> iommu.allocate(DomainType.NESTED, device));
        assertThat(iommu.state().domainIds().inUse()).isEqualTo(ids);
    }

    @ParameterizedTest
    @CsvSource({
        "6.12, 4, 48",
        "6.12.41, 4, 48",
        "6.12.42+deb13, 4, 47",
        "6.16, 4, 48",
        "6.16, 5, 57",
        "6.17, 4, 47",
        "6.17, 5, 56",
        "7.1, 4, 47"
    })
    void theTopAddressBitIsLeftAloneSince617(String release, int levels, int bits) {
        platform.efr |= (levels - 4L) << 12;
        platform.release = LinuxRelease.of(release);
        platform.bootOptions = new BootOptions("amd_iommu=pgtbl_v2 iommu4j.amd=pasids");
        AmdIommu iommu = platform.open();
        IommuDomain domain = iommu.allocate(DomainType.DMA, device(iommu));
        assertThat(domain.format()).isEqualTo("amd-guest-v2");
        assertThat(domain.apertureEnd()).isEqualTo((1L << bits) - 1);
        assertThat(domain.pageSizes()).isEqualTo(0x4020_1000L);
    }

    // --- entries ---

    @Test
    void leavesAreTheProcessorsAndNothingForcesCoherence() {
        AmdIommu iommu = platform.open();
        IommuDevice device = device(iommu);
        IommuDomain domain = guest(iommu, device);
        domain.attach(device);
        domain.map(0x1000, 0x7000, K4, 1, Prot.READ | Prot.CACHE);
        domain.map(0x2000, 0x8000, K4, 1, Prot.WRITE);
        domain.map(0x20_0000, 0x40_0000, 1L << 21, 1, Prot.READ_WRITE);
        domain.map(0x4000_0000, 0x8000_0000L, 1L << 30, 1, Prot.READ);
        long root = rootOf(0x100, 0);
        assertThat(entry(root, 0x1000, 1)).isEqualTo(0x7025);
        assertThat(entry(root, 0x2000, 1)).as("write-only may read").isEqualTo(0x8067);
        assertThat(entry(root, 0x20_0000, 2)).isEqualTo(0x40_00e7);
        assertThat(entry(root, 0x4000_0000, 3)).isEqualTo(0x8000_00a5L);
        assertThat(entry(root, 0x1000, 4) & 0xfff).isEqualTo(0x27);
        assertThat(domain.translate(0x4000_1234L)).isEqualTo(0x8000_1234L);
        assertThat(domain.translate(0x3f_ffff)).isEqualTo(0x5f_ffff);
        // The answer is yes all the same.
        assertThat(domain.cacheCoherencyEnforcement().orElseThrow().enforce()).isTrue();
        assertThat(domain.unmap(0x20_0000, K4, gather))
                .as("a large leaf goes as a whole")
                .isEqualTo(1L << 21);
        assertThat(domain.unmap(0x1000, 2 * K4, gather)).isEqualTo(2 * K4);
        assertThat(domain.translate(0x2000)).isEqualTo(IommuDomain.UNMAPPED);
        domain.map(0, 0x60_0000, 1L << 21, 1, Prot.READ);
        assertThat(entry(root, 0, 2)).as("over an empty table").isEqualTo(0x60_00a5);
        refuses(Errno.EADDRINUSE, () -> domain.map(0x1000, 0, K4, 1, Prot.READ));
        refuses(Errno.ERANGE, () -> domain.map(1L << 47, 0, K4, 1, Prot.READ));
        refuses(Errno.ENXIO, () -> domain.map(0, 0, 1L << 13, 1, Prot.READ));
        refuses(Errno.EINVAL, () -> domain.map(0, 0, K4, 1, Prot.CACHE));
    }

    @Test
    void aDeviceTableEntryPointsToTheDevicesGcr3TableAndKeepsItsInterruptBits() {
        platform.ivrs = TestPlatform.table(
                2,
                TestPlatform.ivhd10(
                        TestPlatform.BASE,
                        2,
                        TestPlatform.entry8(0x46, 0x100, 0xd7, 0, 0, 0),
                        TestPlatform.range(8, 0x1ff)));
        platform.efr |= 1 << 12;
        AmdIommu iommu = platform.open();
        IommuDevice device = device(iommu);
        IommuDomain domain = guest(iommu, device);
        long frames = platform.frames.inUse();
        int ids = iommu.state().domainIds().inUse();
        long word2 = platform.unit.deviceTableWord(0x100, 2);
        assertThat(word2).isEqualTo(0xc700_0000_0000_0000L);
        domain.attach(device);
        // V, TV, GIOV, GV, GLX 1 (2^16 PASIDs), IR, IW; no host table.
        assertThat(platform.unit.deviceTableWord(0x100, 0) & ~(7L << 58)).isEqualTo(0x61c0_0000_0000_0003L);
        // I, SysMgt, and a domain id of the GCR3 table's own.
        assertThat(platform.unit.deviceTableWord(0x100, 1) & 0x0000_07ff_0000_ffffL)
                .isEqualTo(0x101_0000_0002L);
        assertThat(platform.unit.deviceTableWord(0x100, 2)).isEqualTo(word2 | 1L << 54);
        assertThat(rootOf(0x100, 0)).isNotZero();
        domain.detach(device);
        assertThat(platform.unit.deviceTableWord(0x100, 0)).isEqualTo(3);
        assertThat(platform.unit.deviceTableWord(0x100, 1)).isEqualTo(0x100_0000_0000L);
        assertThat(platform.unit.deviceTableWord(0x100, 2)).isEqualTo(word2);
        assertThat(platform.frames.inUse()).isEqualTo(frames);
        assertThat(iommu.state().domainIds().inUse()).isEqualTo(ids);
    }

    @Test
    void whatADeviceMayHoldIsAskedForAfterItsEntryAndGivenUpBefore() {
        AmdIommu iommu = platform.open();
        IommuDevice device = device(iommu);
        IommuDomain domain = guest(iommu, device);
        domain.attach(device);
        assertThat(platform.configWrites).containsExactly("116 = 1", "106 = 8000");
        platform.configWrites.clear();
        domain.detach(device);
        assertThat(platform.configWrites).containsExactly("106 = 0", "116 = 0");
        platform.configWrites.clear();
        TestPlatform without = new TestPlatform();
        without.capabilityHeader &= ~(1 << 24);
        AmdIommu other = without.open();
        IommuDevice its = other.probe(without.expressFunction(1, 0, 0)).orElseThrow();
        other.allocate(DomainType.DMA, its).attach(its);
        assertThat(without.configWrites).doesNotContain("106 = 8000");
        assertThat(without.unit.deviceTableWord(0x100, 1) >>> 32 & 1).isZero();
    }

    // --- forgetting ---

    @Test
    void hostPagesAreForgottenByTheUnitAndThenByTheDevice() {
        AmdIommu iommu = platform.open();
        IommuDevice device = device(iommu);
        IommuDomain domain = iommu.allocate(DomainType.DMA, device);
        domain.attach(device);
        domain.map(0x4000, 0, K4, 1, Prot.READ);
        platform.commands.clear();
        domain.unmap(0x4000, K4, gather);
        domain.sync(gather);
        // Device 0x100, queue id 0x100, MaxPend 5.
        assertThat(platform.commands).containsExactly("pages 1 4000", "iotlb 10005000100 4000");
    }

    @Test
    void guestPagesAreForgottenByTheirTagAndPasid() {
        AmdIommu iommu = platform.open();
        IommuDevice device = device(iommu);
        IommuDomain domain = guest(iommu, device);
        IommuDomain pasids = guest(iommu, device);
        domain.attach(device);
        pasids.pasidAttachment().orElseThrow().attach(device, 0x1234);
        pasids.map(0x4000, 0, K4, 1, Prot.READ);
        domain.map(0x4000, 0, K4, 2, Prot.READ);
        platform.commands.clear();
        pasids.unmap(0x4000, K4, gather);
        pasids.sync(gather);
        assertThat(platform.commands).containsExactly("guest 3/1234 4004", "iotlb 34010005120100 4004");
        platform.commands.clear();
        domain.unmap(0x4000, 2 * K4, gather);
        domain.sync(gather);
        assertThat(platform.commands).containsExactly("guest 3/0 4005", "iotlb 10005000100 4001");
    }

    // --- PASIDs ---

    @Test
    void aPasidHasItsOwnTableBesideOrdinaryRequests() {
        AmdIommu iommu = platform.open();
        IommuDevice device = device(iommu);
        assertThat(device.maxPasids()).isEqualTo(1 << 16);
        IommuDomain identity = iommu.allocate(DomainType.IDENTITY, device);
        IommuDomain domain = guest(iommu, device);
        PasidAttachment pasids = domain.pasidAttachment().orElseThrow();
        assertThat(pasids.attach(device, 7).attached()).as("a blocked device").isFalse();
        identity.attach(device);
        long frames = platform.frames.inUse();
        assertThat(pasids.attach(device, 7).attached()).isTrue();
        assertThat(pasids.attach(device, 7).attached()).isTrue();
        assertThat(pasids.attach(device, 0xffff).attached()).isTrue();
        // GV without GIOV: ordinary requests still pass as they are.
        assertThat(platform.unit.deviceTableWord(0x100, 0) >>> 54 & 3).isEqualTo(2);
        assertThat(rootOf(0x100, 7)).isNotZero().isEqualTo(rootOf(0x100, 0xffff));
        assertThat(rootOf(0x100, 0)).isZero();
        assertThat(rootOf(0x100, 8)).isZero();
        refuses(Errno.EBUSY, domain::close);
        refuses(Errno.EINVAL, () -> pasids.attach(device, 0));
        refuses(Errno.EINVAL, () -> pasids.attach(device, 1 << 16));
        refuses(Errno.EINVAL, () -> pasids.detach(device, 8));
        IommuDomain host = iommu.allocate(DomainType.UNMANAGED, device);
        assertThat(host.attach(device).reason()).contains("PASID");
        pasids.detach(device, 7);
        assertThat(rootOf(0x100, 7)).isZero();
        // A blocked device's PASIDs are blocked too, and come back with it.
        identity.detach(device);
        assertThat(platform.unit.deviceTableWord(0x100, 0)).isEqualTo(3);
        identity.attach(device);
        assertThat(rootOf(0x100, 0xffff)).isNotZero();
        pasids.detach(device, 0xffff);
        identity.detach(device);
        domain.close();
        host.close();
        assertThat(platform.frames.inUse()).isLessThanOrEqualTo(frames);
        iommu.close();
        assertThat(platform.frames.inUse()).isZero();
    }

    @Test
    void aDeviceWithoutPasidsHasNone() {
        AmdIommu iommu = platform.open();
        IommuDevice plain = iommu.probe(platform.function(0, 1, 0, 1)).orElseThrow();
        IommuDomain domain = guest(iommu, plain);
        domain.attach(plain);
        refuses(Errno.EOPNOTSUPP, () -> domain.pasidAttachment().orElseThrow().attach(plain, 1));
        // One level of GCR3 table is enough for it.
        assertThat(platform.unit.deviceTableWord(0x101, 0) >>> 56 & 3).isZero();
    }

    @Test
    void everyFailureOfGuestTablesLeavesTheOldStateAndNothingElse() {
        int n = 1;
        for (; ; n++) {
            TestPlatform each = new TestPlatform();
            each.efr = GUEST_EFR;
            AmdIommu iommu = each.open();
            IommuDevice device = iommu.probe(each.expressFunction(1, 0, 16)).orElseThrow();
            IommuDomain identity = iommu.allocate(DomainType.IDENTITY, device);
            identity.attach(device);
            long[] before = words(each);
            each.failNth.arm(n);
            IommuDomain domain = null;
            IommuDomain ordinary = null;
            boolean failed = false;
            boolean pasidAttached = false;
            try {
                domain = guest(iommu, device);
                domain.map(0x1000, 0x5000, K4, 1, Prot.READ);
                domain.pasidAttachment().orElseThrow().attach(device, 0x4321);
                pasidAttached = true;
                ordinary = guest(iommu, device);
                ordinary.attach(device);
            } catch (IommuException e) {
                failed = true;
                assertThat(e.errno()).isIn(Errno.ENOMEM, Errno.ETIMEDOUT);
            }
            assertThat(failed).as("failure %d", n).isEqualTo(each.failNth.fired());
            each.failNth.disarm();
            if (!failed) {
                break;
            }
            if (!pasidAttached) {
                assertThat(words(each)).as("failure %d", n).containsExactly(before);
            }
            boolean broken = iommu.state().units().get(0).commands().broken();
            if (pasidAttached) {
                IommuDomain used = domain;
                ignoringBroken(
                        broken, () -> used.pasidAttachment().orElseThrow().detach(device, 0x4321));
            }
            ignoringBroken(broken, () -> identity.detach(device));
            iommu.close();
            assertThat(each.frames.inUse()).as("failure %d", n).isEqualTo(iommu.quarantinedFrames());
            assertThat(each.frames.inUse() == 0).isEqualTo(!broken);
        }
        assertThat(n).as("failures injected").isGreaterThan(10);
    }

    private static long[] words(TestPlatform platform) {
        return new long[] {
            platform.unit.deviceTableWord(0x100, 0),
            platform.unit.deviceTableWord(0x100, 1),
            platform.unit.deviceTableWord(0x100, 2)
        };
    }

    private static void ignoringBroken(boolean broken, Runnable action) {
        try {
            action.run();
            assertThat(broken).isFalse();
        } catch (IommuException e) {
            assertThat(e.errno()).isEqualTo(Errno.EIO);
            assertThat(broken).isTrue();
        }
    }
}
