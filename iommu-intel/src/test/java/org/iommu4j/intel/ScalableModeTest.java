// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.Set;
import org.iommu4j.AttachResult;
import org.iommu4j.DirtyBitmap;
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
import org.iommu4j.capability.GuestInvalidationRequest;
import org.iommu4j.capability.GuestTable;
import org.iommu4j.capability.PasidAttachment;
import org.iommu4j.intel.acpi.DmarBytes;
import org.iommu4j.intel.nesting.FirstStageInvalidation;
import org.iommu4j.intel.nesting.FirstStageTable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Scalable mode against a unit that answers and does not translate: tables and requests are hex as the manual gives
 * them.
 */
class ScalableModeTest {
    private static final long K4 = 4096;
    private static final String DEVICE = "0000:00:02.0";
    private static final long ADDRESS = 0x000ffffffffff000L;
    private static final long BASE = 0xfed90000L;

    private final IotlbGather gather = new IotlbGather();

    private static void assertErrno(Errno errno, Runnable call) {
        assertThatThrownBy(call::run)
                .isInstanceOfSatisfying(
                        IommuException.class,
                        e -> assertThat(e.errno()).as(e.getMessage()).isEqualTo(errno));
    }

    /** One device with ATS and 8 bits of PASID. */
    private static final class Host {
        final Bench bench = new Bench();
        final byte[] config;
        final Iommu iommu;
        final IommuDevice device;

        Host(long cap, long ecap) {
            this(cap, ecap, "");
        }

        Host(long cap, long ecap, String commandLine) {
            bench.unit(BASE, cap, ecap);
            config = bench.cachingFunction(DEVICE, 8);
            bench.dmar = new DmarBytes(48, 1).drhd(true, 0, BASE).bytes();
            bench.commandLine = commandLine;
            iommu = bench.open();
            device = bench.probe(iommu, DEVICE);
        }

        IommuDomain attached(DomainFlag... flags) {
            IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device, Set.of(flags));
            assertThat(domain.attach(device).attached()).isTrue();
            return domain;
        }

        /** Attaches the device to a guest's table, and returns the word of its entry that says what the guest said. */
        long guestWord(FirstStageTable table) {
            IommuDomain parent = iommu.allocate(DomainType.UNMANAGED, device, Set.of(DomainFlag.NEST_PARENT));
            IommuDomain nested = parent.nesting().orElseThrow().allocateNested(device, table);
            assertThat(nested.attach(device).attached()).isTrue();
            return entry(0)[2];
        }

        long[] entry(int pasid) {
            return bench.pasidEntry(0x10, pasid);
        }

        void record() {
            bench.first().recording = true;
            bench.first().takeLog();
        }

        /** The descriptors since the last call, without waits. */
        List<String> requests() {
            return bench.first().takeLog().stream()
                    .filter(descriptor -> !descriptor.matches("[0-9a-f]*25 .*"))
                    .toList();
        }
    }

    @Test
    void openingChoosesScalableModeAndWideDescriptors() {
        Bench bench = new Bench();
        bench.unit(BASE, Bench.CAP_LARGE, Bench.ECAP_SCALABLE);
        bench.function(DEVICE, 0x020000);
        bench.dmar = new DmarBytes(48, 1).drhd(true, 0, BASE).bytes();
        bench.first().recording = true;
        Iommu iommu = bench.open();

        assertThat(bench.first().values.get(0x20) & 0xfff).as("RTADDR.TTM").isEqualTo(0x400);
        assertThat(bench.first().values.get(0x90) & 0xfff)
                .as("IQA: DW, two frames")
                .isEqualTo(0x801);
        List<String> log = bench.first().takeLog();
        assertThat(log.get(0)).isEqualTo("11 0");
        assertThat(log.get(2)).as("PASID cache, global").isEqualTo("37 0");
        assertThat(log.get(4)).isEqualTo("d2 0");
        iommu.close();
        assertThat(bench.pool.inUse()).isZero();
    }

    @Test
    void theCommandLineKeepsLegacyModeWithWideDescriptors() {
        Host host = new Host(Bench.CAP_LARGE, Bench.ECAP_SCALABLE, "intel_iommu=on,sm_off");
        assertThat(host.bench.first().values.get(0x20) & 0xfff).isZero();
        assertThat(host.bench.first().values.get(0x90) & 0xfff).isEqualTo(0x801);
        IommuDomain domain = host.attached();
        assertThat(domain.format()).isEqualTo("vtd-second-stage");
        assertThat(host.device.maxPasids()).isZero();
        // TT 1: translation requests of the device are answered.
        assertThat(host.bench.contextEntry(0x10)[0] & 0xf).isEqualTo(0x5);
    }

    @Test
    void aContextEntryLeadsToThePasidTableFromTheStart() {
        Host host = new Host(Bench.CAP_LARGE, Bench.ECAP_SCALABLE);
        long root = host.bench.first().values.get(0x20) & ~0xfffL;
        long context = (host.bench.flat.load(root) & ~0xfffL) + 0x10 * 32;
        // P, DTE, PASIDE; a directory of 512 entries
        assertThat(host.bench.flat.load(context) & 0xfff).isEqualTo(0x40d);
        for (int i = 1; i < 4; i++) {
            assertThat(host.bench.flat.load(context + i * 8L)).isZero();
        }
        assertThat(host.entry(0)).as("blocked").containsOnly(0);
        assertThat(host.device.maxPasids()).isEqualTo(256);
        assertThat(host.config[0x126]).as("PASID is enabled").isEqualTo((byte) 1);
        assertThat(host.config[0x107]).as("ATS is not yet").isZero();

        // The upper half of a bus's functions has a context table of its own.
        host.bench.function("0000:00:1f.0", 0x020000);
        host.bench.probe(host.iommu, "0000:00:1f.0");
        assertThat(host.bench.flat.load(root + 8) & 0xfff).isEqualTo(1);
    }

    @Test
    void aFirstStageHasTheEntriesThatLinuxWrites() {
        Host host = new Host(Bench.CAP_LARGE | 1L << 56, Bench.ECAP_SCALABLE);
        IommuDomain domain = host.attached();
        assertThat(domain.format()).isEqualTo("vtd-first-stage");
        assertThat(domain.pageSizes()).isEqualTo(0x40201000L);
        assertThat(domain.apertureEnd()).as("lower half").isEqualTo((1L << 47) - 1);
        domain.map(0x1000, 0x123456000L, K4, 1, Prot.READ_WRITE | Prot.CACHE);
        domain.map(0x2000, 0x123456000L, K4, 1, Prot.READ);
        domain.map(0x3000, 0x123456000L, K4, 1, Prot.WRITE);
        domain.map(1L << 21, 0x40000000L, 1L << 21, 1, Prot.READ_WRITE);
        domain.map(1L << 30, 0x80000000L, 1L << 30, 1, Prot.READ);

        long[] entry = host.entry(0);
        assertThat(entry[0]).as("P, AW 2, PGTT 1").isEqualTo(0x49);
        assertThat(entry[1]).as("DID 2, PWSNP").isEqualTo(0x800002);
        assertThat(entry[2] & 0xfff).as("4 levels").isZero();
        assertThat(host.bench.leafBelow(entry[2], 4, 0x1000)).isEqualTo(0x123456067L);
        assertThat(host.bench.leafBelow(entry[2], 4, 0x2000)).isEqualTo(0x123456025L);
        assertThat(host.bench.leafBelow(entry[2], 4, 0x3000)).isEqualTo(0x123456067L);
        assertThat(host.bench.leafBelow(entry[2], 4, 1L << 21)).isEqualTo(0x400000e7L);
        assertThat(host.bench.leafBelow(entry[2], 4, 1L << 30)).isEqualTo(0x800000a5L);
        long top = host.bench.flat.load(entry[2] & ADDRESS);
        assertThat(top & ~ADDRESS).as("a table's entry").isEqualTo(0x27);
        assertThat(domain.translate(0x1005)).isEqualTo(0x123456005L);
        assertErrno(Errno.ERANGE, () -> domain.map(1L << 47, 0, K4, 1, Prot.READ));

        // Linux 6.1 wrote bit 63 too.
        Bench old = new Bench();
        old.unit(BASE, Bench.CAP_LARGE, Bench.ECAP_SCALABLE);
        old.function(DEVICE, 0x020000);
        old.dmar = new DmarBytes(48, 1).drhd(true, 0, BASE).bytes();
        old.release = LinuxRelease.named("6.1");
        Iommu iommu = old.open();
        IommuDevice device = old.probe(iommu, DEVICE);
        IommuDomain kernel = iommu.allocate(DomainType.DMA, device);
        kernel.attach(device);
        kernel.map(0x1000, 0x5000, K4, 1, Prot.READ_WRITE);
        assertThat(old.leafBelow(old.pasidEntry(0x10, 0)[2], 4, 0x1000)).isEqualTo(0x8000000000005067L);
    }

    @Test
    void aFirstStageOf5LevelsCovers56Bits() {
        // MGAW 57, SAGAW 3 to 5 levels, FL5LP
        long cap = (Bench.CAP_LARGE & ~(0x3fL << 16)) | 56L << 16 | 0x800 | 1L << 60;
        Host host = new Host(cap, Bench.ECAP_SCALABLE);
        IommuDomain domain = host.attached();
        assertThat(domain.apertureEnd()).isEqualTo((1L << 56) - 1);
        domain.map((1L << 56) - K4, 0x5000, K4, 1, Prot.READ_WRITE);
        long[] entry = host.entry(0);
        assertThat(entry[2] & 0xc).as("FSPM").isEqualTo(4);
        assertThat(host.bench.leafBelow(entry[2], 5, (1L << 56) - K4)).isEqualTo(0x5067);
    }

    @Test
    void aSecondStageOf5LevelsServesAUnitOf57Bits() {
        long cap = (Bench.CAP_LARGE & ~(0x3fL << 16)) | 56L << 16 | 0x800;
        for (long ecap : new long[] {Bench.ECAP, Bench.ECAP_SECOND_STAGE}) {
            Host host = new Host(cap, ecap);
            IommuDomain domain = host.attached();
            assertThat(domain.apertureEnd()).isEqualTo((1L << 57) - 1);
            long iova = 1L << 56 | 1L << 47 | 0x3000;
            domain.map(iova, 0x5000, K4, 1, Prot.READ_WRITE);
            assertThat(domain.translate(iova)).isEqualTo(0x5000);
            boolean scalable = ecap == Bench.ECAP_SECOND_STAGE;
            long root = scalable ? host.entry(0)[0] : host.bench.contextEntry(0x10)[0];
            assertThat(host.bench.leafBelow(root, 5, iova)).isEqualTo(0x5003);
            assertThat(scalable ? host.entry(0)[0] >>> 2 & 7 : host.bench.contextEntry(0x10)[1] & 7)
                    .as("AW")
                    .isEqualTo(3);
            domain.unmap(iova, K4, gather);
            domain.sync(gather);
            assertThat(domain.translate(iova)).isEqualTo(IommuDomain.UNMAPPED);
        }
    }

    @Test
    void eachChangeOfAnEntryIsFollowedByItsRequestsInOrder() {
        Host host = new Host(Bench.CAP_LARGE, Bench.ECAP_SCALABLE);
        host.record();
        host.attached();
        assertThat(host.requests())
                .as("nothing was cached of what was not present")
                .isEmpty();
        assertThat(host.config[0x107]).as("ATS is on").isEqualTo((byte) 0x80);

        IommuDomain second = host.iommu.allocate(DomainType.UNMANAGED, host.device, Set.of(DomainFlag.NEST_PARENT));
        second.attach(host.device);
        // PASID cache of domain 2, its IOTLB by PASID, the device's TLB: all of it.
        assertThat(host.requests()).containsExactly("20017 0", "20026 0", "1000050003 7ffffffffffff001");
        assertThat(host.entry(0)[0] & 0xfff).as("P, AW 2, PGTT 2").isEqualTo(0x89);
        assertThat(host.entry(0)[1]).isEqualTo(0x800003);

        second.detach(host.device);
        // A second stage is tagged with the domain id alone.
        assertThat(host.requests()).containsExactly("30017 0", "300e2 0", "1000050003 7ffffffffffff001");
        assertThat(host.entry(0)).containsOnly(0);
        assertThat(host.config[0x107]).as("ATS is off").isZero();

        IommuDomain identity = host.iommu.allocate(DomainType.IDENTITY, host.device);
        identity.attach(host.device);
        assertThat(host.entry(0)).startsWith(0x109, 0x800001, 0);
        identity.detach(host.device);
        assertThat(host.requests()).containsExactly("10017 0", "10026 0");
    }

    @Test
    void unmappingIsFlushedByPasidAndThenInTheDevice() {
        Host host = new Host(Bench.CAP_LARGE, Bench.ECAP_SCALABLE);
        IommuDomain domain = host.attached();
        domain.pasidAttachment().orElseThrow().attach(host.device, 9);
        domain.map(0x4000, 0x4000, K4, 4, Prot.READ_WRITE);
        host.record();

        domain.unmap(0x4000, 4 * K4, gather);
        domain.sync(gather);

        // 4 pages from 4, of PASIDs 9 and 0; the device's addresses say their size in their lowest ones.
        assertThat(host.requests())
                .containsExactly("900020036 4042", "20036 4042", "900100058 5800", "1000050003 5001");
    }

    @Test
    void aFlushThatIsTooLargeFallsBackToTheWholePasid() {
        Host host = new Host(Bench.CAP_LARGE & ~(0x3fL << 48), Bench.ECAP_SCALABLE & ~4L);
        IommuDomain domain = host.attached();
        domain.map(0x4000, 0x4000, K4, 2, Prot.READ_WRITE);
        host.record();
        domain.unmap(0x4000, 2 * K4, gather);
        domain.sync(gather);
        assertThat(host.requests()).containsExactly("20026 0");
    }

    @Test
    void pasidsHaveDomainsOfTheirOwn() {
        Host host = new Host(Bench.CAP_LARGE, Bench.ECAP_SCALABLE);
        IommuDomain ordinary = host.attached();
        IommuDomain other = host.iommu.allocate(DomainType.UNMANAGED, host.device, Set.of(DomainFlag.PASID));
        PasidAttachment pasids = other.pasidAttachment().orElseThrow();
        long[] before = host.entry(0);
        host.record();

        assertThat(pasids.attach(host.device, 70).attached()).isTrue();

        assertThat(host.entry(0)).isEqualTo(before);
        assertThat(host.entry(70)[1] & 0xffff).isEqualTo(3);
        assertThat(host.entry(71)).containsOnly(0);
        assertErrno(Errno.EBUSY, other::close);
        assertErrno(Errno.EINVAL, () -> pasids.attach(host.device, 0));
        assertErrno(Errno.EINVAL, () -> pasids.attach(host.device, 256));
        assertErrno(Errno.EINVAL, () -> pasids.detach(host.device, 71));
        assertErrno(Errno.EINVAL, () -> other.detach(host.device));
        host.requests();
        // From domain to domain by way of not present.
        assertThat(ordinary.pasidAttachment()
                        .orElseThrow()
                        .attach(host.device, 70)
                        .attached())
                .isTrue();
        assertThat(host.requests()).containsExactly("4600030017 0", "4600030026 0", "4600100058 7ffffffffffff800");
        other.close();
        ordinary.detach(host.device);
        assertThat(host.config[0x107]).as("ATS stays on for the PASID").isEqualTo((byte) 0x80);
        ordinary.pasidAttachment().orElseThrow().detach(host.device, 70);
        assertThat(host.config[0x107]).isZero();
        assertThat(host.entry(70)).containsOnly(0);
        ordinary.close();
        host.iommu.close();
        assertThat(host.bench.pool.inUse()).isZero();
    }

    @Test
    void aDeviceWithoutPasidsIsRefused() {
        Host host = new Host(Bench.CAP_LARGE, Bench.ECAP_SCALABLE);
        host.bench.function("0000:00:04.0", 0x020000);
        IommuDevice plain = host.bench.probe(host.iommu, "0000:00:04.0");
        IommuDomain domain = host.iommu.allocate(DomainType.UNMANAGED, plain);
        assertErrno(
                Errno.EOPNOTSUPP, () -> domain.pasidAttachment().orElseThrow().attach(plain, 1));
        assertThat(plain.maxPasids()).isZero();
    }

    @Test
    void writtenPagesAreReadAndCleared() {
        Host host = new Host(Bench.CAP_LARGE, Bench.ECAP_SCALABLE);
        assertThat(host.iommu.capable(host.device, IommuCapability.DIRTY_TRACKING))
                .isTrue();
        IommuDomain domain = host.attached(DomainFlag.DIRTY_TRACKING);
        domain.map(0x1000, 0x5000, K4, 3, Prot.READ_WRITE);
        domain.map(1L << 21, 1L << 21, 1L << 21, 1, Prot.READ_WRITE);
        DirtyBitmap bitmap = new DirtyBitmap(0, K4, 1024);
        var tracking = domain.dirtyTracking().orElseThrow();
        assertErrno(Errno.EINVAL, () -> tracking.readAndClearDirty(bitmap, true));
        host.record();

        tracking.setDirtyTracking(true);
        assertThat(host.entry(0)[0] & 0x200).as("SSADE").isNotZero();
        assertThat(host.requests()).containsExactly("20017 0", "200e2 0", "1000050003 7ffffffffffff001");
        tracking.setDirtyTracking(true);
        assertThat(host.requests()).as("it is so already").isEmpty();

        // The unit writes D of the second page and of the large one.
        long root = host.entry(0)[0] & ADDRESS;
        long level3 = host.bench.flat.load(root) & ADDRESS;
        long level2 = host.bench.flat.load(level3) & ADDRESS;
        long level1 = host.bench.flat.load(level2) & ADDRESS;
        host.bench.flat.store(level1 + 2 * 8, host.bench.flat.load(level1 + 2 * 8) | 0x200);
        host.bench.flat.store(level2 + 8, host.bench.flat.load(level2 + 8) | 0x200);
        tracking.readAndClearDirty(bitmap, false);
        assertThat(bitmap.count()).isEqualTo(1 + 512);
        assertThat(bitmap.isMarked(0x2000)).isTrue();
        assertThat(host.requests()).as("nothing was cleared").isEmpty();

        bitmap.clear();
        tracking.readAndClearDirty(bitmap, true);
        assertThat(bitmap.count()).isEqualTo(1 + 512);
        // 1024 pages from 0, leaves only, then the device.
        assertThat(host.requests()).containsExactly("200f2 4a", "1000050003 1ff001");
        bitmap.clear();
        tracking.readAndClearDirty(bitmap, true);
        assertThat(bitmap.count()).isZero();

        domain.detach(host.device);
        domain.attach(host.device);
        assertThat(host.entry(0)[0] & 0x200).as("who comes later").isNotZero();
        tracking.setDirtyTracking(false);
        assertThat(host.entry(0)[0] & 0x200).isZero();
    }

    /** A leaf of 2 MiB, and pages behind it; the range begins in the middle of the leaf. */
    @ParameterizedTest
    @CsvSource({"6.7, 512, false", "6.18, 512, false", "6.19, 512, true", "7.2, 512, true", "7.3, 257, true"})
    void whatALargeLeafMarksThatIsEnteredBehindItsStart(String release, int marked, boolean cleared) {
        Bench bench = Bench.single(Bench.CAP_LARGE, Bench.ECAP_SCALABLE);
        bench.release = LinuxRelease.named(release);
        Iommu iommu = bench.open();
        IommuDevice device = bench.probe(iommu, "0000:00:02.0");
        IommuDomain domain = iommu.allocateForUser(device, Set.of(DomainFlag.DIRTY_TRACKING));
        domain.attach(device);
        domain.map(0x20_0000, 0x20_0000, 1 << 21, 1, Prot.READ_WRITE);
        domain.map(0x40_0000, 0x5000, K4, 16, Prot.READ_WRITE);
        var tracking = domain.dirtyTracking().orElseThrow();
        tracking.setDirtyTracking(true);
        long level3 = bench.flat.load(bench.pasidEntry(0x10, 0)[0] & ADDRESS) & ADDRESS;
        long level2 = bench.flat.load(level3) & ADDRESS;
        long pages = bench.flat.load(level2 + 2 * 8) & ADDRESS;
        for (long entry : new long[] {level2 + 8, pages + 3 * 8}) {
            bench.flat.store(entry, bench.flat.load(entry) | 0x200);
        }
        DirtyBitmap half = new DirtyBitmap(0x30_0000, K4, 512);
        tracking.readAndClearDirty(half, true);
        assertThat(half.count()).isEqualTo(marked);
        assertThat(bench.flat.load(level2 + 8) & 0x200).as("the leaf").isZero();
        assertThat((bench.flat.load(pages + 3 * 8) & 0x200) == 0)
                .as("a page behind it")
                .isEqualTo(cleared);
    }

    @Test
    void flagsThatCantBeAreRefused() {
        Host host = new Host(Bench.CAP_LARGE, Bench.ECAP_SCALABLE);
        Iommu iommu = host.iommu;
        assertErrno(Errno.EINVAL, () -> iommu.allocate(DomainType.DMA, host.device, Set.of(DomainFlag.DIRTY_TRACKING)));
        Host noDirty = new Host(Bench.CAP_LARGE, Bench.ECAP_SCALABLE & ~(1L << 45) & ~(1L << 26) & ~(1L << 40));
        for (DomainFlag flag : DomainFlag.values()) {
            assertErrno(
                    Errno.EOPNOTSUPP, () -> noDirty.iommu.allocate(DomainType.UNMANAGED, noDirty.device, Set.of(flag)));
        }
        Host noStage = new Host(Bench.CAP_LARGE, Bench.ECAP_SCALABLE & ~(3L << 46));
        assertErrno(Errno.EOPNOTSUPP, () -> noStage.iommu.allocate(DomainType.UNMANAGED, noStage.device));
    }

    @Test
    void whatADomainWasAskedForIsAskedOfEveryUnitBehindIt() {
        record Case(long cap1, long ecap1, Set<DomainFlag> flags, String reason) {}
        Set<DomainFlag> dirty = Set.of(DomainFlag.DIRTY_TRACKING);
        Set<DomainFlag> parent = Set.of(DomainFlag.NEST_PARENT);
        Set<DomainFlag> firstStage = Set.of();
        long all = Bench.ECAP_SCALABLE;
        for (Case each : new Case[] {
            new Case(Bench.CAP_LARGE, all & ~(1L << 45), dirty, "ECAP.SLADS"),
            new Case(Bench.CAP_LARGE, Bench.ECAP, dirty, "ECAP.SLADS"),
            new Case(Bench.CAP_LARGE, all & ~(1L << 26), parent, "ECAP.NEST"),
            new Case(Bench.CAP_LARGE, all & ~(1L << 46), parent, "ECAP.SLTS"),
            new Case(Bench.CAP_RWBF, all, firstStage, "CAP.RWBF")
        }) {
            Bench bench = Bench.pair(Bench.CAP_LARGE, all, each.cap1, each.ecap1);
            bench.function("0000:00:04.0", 0x020000);
            Iommu iommu = bench.open();
            IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, bench.probe(iommu, DEVICE), each.flags);
            assertThat(domain.format()).isEqualTo(each.flags.isEmpty() ? "vtd-first-stage" : "vtd-second-stage");

            AttachResult result = domain.attach(bench.probe(iommu, "0000:00:04.0"));

            assertThat(result.attached()).as(each.toString()).isFalse();
            assertThat(result.reason()).contains("dmar1", each.reason);
        }
    }

    @Test
    void aNestedDomainLeadsThroughItsParent() {
        Host host = new Host(Bench.CAP_LARGE, Bench.ECAP_SCALABLE | 0x80);
        IommuDomain parent = host.iommu.allocate(DomainType.UNMANAGED, host.device, Set.of(DomainFlag.NEST_PARENT));
        assertErrno(Errno.EINVAL, () -> parent.map(0x1000, 0x1000, K4, 1, Prot.READ));
        parent.map(0x1000, 0x1000, K4, 8, Prot.READ_WRITE);
        var nesting = parent.nesting().orElseThrow();
        for (int width : new int[] {47, 57}) {
            IommuDomain unwalked = nesting.allocateNested(host.device, guestTable(0x1000, width));
            assertThat(unwalked.attach(host.device).attached()).isFalse();
            unwalked.close();
        }
        assertErrno(Errno.EOPNOTSUPP, () -> nesting.allocateNested(host.device, new GuestTable() {}));
        IommuDomain nested = nesting.allocateNested(host.device, guestTable(0x3000, 48));
        assertThat(nested.format()).isEqualTo("vtd-nested");
        assertThat(nested.type()).isEqualTo(DomainType.NESTED);
        assertErrno(Errno.EBUSY, parent::close);

        assertThat(nested.attach(host.device).attached()).isTrue();

        long[] entry = host.entry(0);
        assertThat(entry[0] & 0xfff).as("P, AW 2, PGTT 3").isEqualTo(0xc9);
        assertThat(entry[1]).as("DID 2, PWSNP").isEqualTo(0x800002);
        assertThat(entry[2]).as("the guest's table").isEqualTo(0x3000);
        host.record();
        var guest = nested.guestInvalidation().orElseThrow();
        guest.invalidate(new FirstStageInvalidation(0x5000, 1, true));
        assertThat(host.requests()).containsExactly("20036 5040", "1000050003 5000");
        guest.invalidate(new FirstStageInvalidation(0, FirstStageInvalidation.ALL_PAGES, false));
        assertThat(host.requests()).containsExactly("20026 0", "1000050003 7ffffffffffff001");
        assertErrno(Errno.EINVAL, () -> guest.invalidate(new GuestInvalidationRequest() {}));
        for (long[] bad : new long[][] {{0x800, 1}, {0x1000, 0}, {0x1000, -1}, {0x1000, 1L << 52}, {0, 1L << 53}}) {
            assertErrno(Errno.EINVAL, () -> guest.invalidate(new FirstStageInvalidation(bad[0], bad[1], true)));
        }
        assertThat(host.requests()).isEmpty();
        // What the guest made of the parent's pages, nobody knows.
        parent.unmap(0x1000, K4, gather);
        parent.sync(gather);
        assertThat(host.requests()).containsExactly("200e2 0", "1000050003 7ffffffffffff001");

        nested.detach(host.device);
        assertThat(host.requests()).containsExactly("20017 0", "200e2 0", "1000050003 7ffffffffffff001");
        // The parent's promise counts when the device is attached.
        assertThat(parent.cacheCoherencyEnforcement().orElseThrow().enforce()).isTrue();
        nested.attach(host.device);
        assertThat(host.entry(0)[1]).isEqualTo(0x1800002);
        nested.detach(host.device);
        nested.close();
        parent.close();
        host.iommu.close();
        assertThat(host.bench.pool.inUse()).isZero();
    }

    private static FirstStageTable guestTable(long address, int addressWidth) {
        return new FirstStageTable(address, addressWidth, 0);
    }

    /** Which bit of ECAP a flag of the guest's entry needs, if any, and where the entry has it. */
    @ParameterizedTest
    @CsvSource({
        FirstStageTable.SUPERVISOR_REQUESTS + ", 31, 0x3001",
        FirstStageTable.EXTENDED_ACCESSED + ", 34, 0x3080",
        FirstStageTable.WRITE_PROTECT + ", -1, 0x3000",
        FirstStageTable.WRITE_PROTECT + FirstStageTable.SUPERVISOR_REQUESTS + ", 31, 0x3011",
        "8, -1, 0x3000",
        "-8, -1, 0x3000"
    })
    void aGuestsFlagIsInItsEntryWhereTheUnitHasIt(int flag, int needs, String word) {
        FirstStageTable table = new FirstStageTable(0x3000, 48, flag);
        if (needs != -1) {
            Host without = new Host(Bench.CAP_LARGE, Bench.ECAP_SCALABLE);
            IommuDomain parent =
                    without.iommu.allocate(DomainType.UNMANAGED, without.device, Set.of(DomainFlag.NEST_PARENT));
            IommuDomain nested = parent.nesting().orElseThrow().allocateNested(without.device, table);
            assertThat(nested.attach(without.device).attached()).isFalse();
        }
        Host with = new Host(Bench.CAP_LARGE, Bench.ECAP_SCALABLE | (needs < 0 ? 0 : 1L << needs));
        assertThat(with.guestWord(table)).isEqualTo(Long.decode(word));
    }

    /** Linux puts the address into the entry as it comes: a wrong one is the guest's fault, which the unit reports. */
    @ParameterizedTest
    @CsvSource({"0x3008, 0x3000", "0x3fff, 0x3000", "0x1000000000000, 0x1000000000000", "-4096, 0xfffffffffffff000"})
    void anyAddressOfAGuestsTableIsTaken(String address, String word) {
        Host host = new Host(Bench.CAP_LARGE, Bench.ECAP_SCALABLE);
        assertThat(host.guestWord(guestTable(Long.decode(address), 48)))
                .isEqualTo(Long.parseUnsignedLong(word.substring(2), 16));
    }

    @Test
    void closingTheDriverFreesParentsAndTheirNestedDomains() {
        Host host = new Host(Bench.CAP_LARGE, Bench.ECAP_SCALABLE);
        for (int i = 0; i < 2; i++) {
            IommuDomain parent = host.iommu.allocate(DomainType.UNMANAGED, host.device, Set.of(DomainFlag.NEST_PARENT));
            parent.map(0x1000, 0x1000, K4, 1, Prot.READ_WRITE);
            parent.nesting().orElseThrow().allocateNested(host.device, guestTable(0x3000, 48));
        }

        host.iommu.close();

        assertThat(host.bench.pool.inUse()).isZero();
    }

    @Test
    void cachingModeIsToldOfNewEntries() {
        Host host = new Host(Bench.CAP_CM, Bench.ECAP_SECOND_STAGE);
        host.record();
        IommuDomain domain = host.attached();
        assertThat(host.requests()).containsExactly("20017 0", "20026 0");
        domain.map(0x5000, 0x5000, K4, 1, Prot.READ);
        domain.syncMap(0x5000, K4);
        assertThat(host.requests()).containsExactly("200f2 5000");
        Host first = new Host(Bench.CAP_CM, Bench.ECAP_SCALABLE);
        IommuDomain fs = first.attached();
        first.record();
        fs.map(0x5000, 0x5000, K4, 1, Prot.READ);
        fs.syncMap(0x5000, K4);
        assertThat(first.requests())
                .as("missing first-stage entries are not cached")
                .isEmpty();
    }

    @Test
    void whatPasidEntriesAndTheirTablesSayIsWrittenBackWhereTheUnitDoesNotSnoop() {
        // C 0, SMPWC 0
        Host host = new Host(Bench.CAP_LARGE, Bench.ECAP_SCALABLE & ~1L & ~(1L << 48));
        host.bench.memory.recording = true;
        IommuDomain domain = host.attached();
        assertThat(host.entry(0)[1] & 0x800000).as("PWSNP").isZero();
        domain.map(0x1000, 0x5000, K4, 1, Prot.READ_WRITE);
        long[] entry = host.entry(0);
        long top = entry[2] & ADDRESS;
        assertThat(host.bench.memory.writtenBack).contains(top);
        assertThat(host.bench.leafBelow(top, 4, 0x1000)).isEqualTo(0x5067);
        // The frames of the table were cleared in DRAM, too: 512 words each of 4 levels.
        assertThat(host.bench.memory.writtenBack.size()).isGreaterThan(4 * 512);
    }

    // ---- a device that does not answer
    // ---------------------------------------------------------------------------------

    @Test
    void aDeviceThatIsSlowOnceIsAskedAgain() {
        Host host = new Host(Bench.CAP_LARGE, Bench.ECAP_SCALABLE);
        IommuDomain domain = host.attached();
        domain.map(0x5000, 0x5000, K4, 1, Prot.READ_WRITE);
        host.record();
        host.bench.first().silentDevices = 2;
        // And ICE: some device answered what nobody had asked.
        host.bench.first().values.put(0x34, 0x20);
        domain.unmap(0x5000, K4, gather);

        domain.sync(gather);

        assertThat(host.requests())
                .containsExactly("20036 5040", "1000050003 5000", "1000050003 5000", "1000050003 5000");
        assertThat(host.bench.first().values.get(0x34) & 0x60)
                .as("ITE and ICE are cleared")
                .isZero();
    }

    @Test
    void aDeviceThatNeverAnswersBreaksItsUnit() {
        Host host = new Host(Bench.CAP_LARGE, Bench.ECAP_SCALABLE);
        IommuDomain domain = host.attached();
        domain.map(0x5000, 0x5000, K4, 1, Prot.READ_WRITE);
        host.bench.first().silentDevices = 100;
        domain.unmap(0x5000, K4, gather);
        assertErrno(Errno.ETIMEDOUT, () -> domain.sync(gather));
        assertErrno(Errno.EIO, () -> domain.detach(host.device));
    }

    @Test
    void aDescriptorThatIsNotTakenIsNamed() {
        Host host = new Host(Bench.CAP_LARGE, Bench.ECAP_SCALABLE);
        IommuDomain domain = host.attached();
        domain.map(0x5000, 0x5000, K4, 1, Prot.READ_WRITE);
        host.bench.first().refusing = true;
        domain.unmap(0x5000, K4, gather);
        assertThatThrownBy(() -> domain.sync(gather))
                .hasMessageContaining("IQE=1")
                .hasMessageContaining("PASID-based IOTLB invalidate")
                .hasMessageContaining("DID=2");
    }

    @Test
    void interruptRemappingStaysOnThroughEveryCommand() {
        Bench bench = Bench.single(Bench.CAP_LARGE, Bench.ECAP);
        bench.first().values.put(0xb8, 0x120000fL);
        bench.first().leaveOn(0x82000000);
        Iommu iommu = bench.open();
        assertThat(bench.first().status() & 0x02000000).as("IRES").isNotZero();
        iommu.close();
        assertThat(bench.first().status() & 0x02000000).isNotZero();
        assertThat(bench.first().values.get(0xb8)).isEqualTo(0x120000fL);
    }

    // ---- failures
    // ------------------------------------------------------------------------------------------------------

    @Test
    void anyFailureOnTheWayLeavesEntriesAndIdsAsTheyWere() {
        int refused = 0;
        boolean fired;
        int n = 0;
        do {
            Host host = new Host(Bench.CAP_CM, Bench.ECAP_SCALABLE | 0x80);
            IommuDomain old = host.attached();
            old.map(0x1000, 0x2000, K4, 1, Prot.READ_WRITE);
            IommuDomain other = host.iommu.allocate(DomainType.UNMANAGED, host.device, Set.of(DomainFlag.NEST_PARENT));
            long[] entry = host.entry(0);
            long frames = host.bench.pool.inUse();
            host.bench.failures.arm(++n);
            try {
                // A PASID whose table is missing, a promise, a move.
                old.pasidAttachment().orElseThrow().attach(host.device, 200);
                old.cacheCoherencyEnforcement().orElseThrow().enforce();
                other.attach(host.device);
            } catch (IommuException e) {
                refused++;
                assertThat(e.errno()).isIn(Errno.ENOMEM, Errno.ETIMEDOUT);
                assertThat(host.entry(0)[0]).as("failure " + n).isEqualTo(entry[0]);
                assertThat(host.entry(0)[2]).isEqualTo(entry[2]);
                if (e.errno() == Errno.ENOMEM) {
                    assertThat(host.entry(200)).containsOnly(0);
                    assertThat(host.bench.pool.inUse()).isEqualTo(frames);
                }
            }
            fired = host.bench.failures.fired();
            host.bench.failures.disarm();
            for (IommuDomain domain : new IommuDomain[] {old, other}) {
                try {
                    domain.detach(host.device);
                } catch (IommuException e) {
                    assertThat(e.errno()).isIn(Errno.EINVAL, Errno.EIO);
                }
            }
            try {
                old.pasidAttachment().orElseThrow().detach(host.device, 200);
            } catch (IommuException e) {
                assertThat(e.errno()).isIn(Errno.EINVAL, Errno.EIO);
            }
            old.close();
            other.close();
            host.iommu.close();
            assertThat(host.bench.pool.inUse()).as("failure " + n).isEqualTo(host.iommu.quarantinedFrames());
        } while (fired);
        assertThat(refused).isGreaterThan(8);
    }
}
