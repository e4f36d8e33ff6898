// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.ServiceLoader;
import org.iommu4j.AttachResult;
import org.iommu4j.DmaFault;
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
import org.iommu4j.ReservedRegion;
import org.iommu4j.intel.acpi.DmarBytes;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.RegisterValues;
import org.iommu4j.spi.UnitDescription;
import org.junit.jupiter.api.Test;

/** The driver against units that answer and do not translate. */
class IntelVendorTest {
    private static final long K4 = 4096;
    private static final String DEVICE = "0000:00:02.0";
    private static final String OTHER = "0000:00:03.0";

    private static void assertErrno(Errno errno, Runnable call) {
        assertThatThrownBy(call::run)
                .isInstanceOfSatisfying(
                        IommuException.class,
                        e -> assertThat(e.errno()).as(e.getMessage()).isEqualTo(errno));
    }

    @Test
    void theVendorIsFoundByServiceLoader() {
        assertThat(ServiceLoader.load(IommuVendor.class).stream().map(ServiceLoader.Provider::type))
                .contains(IntelVendor.class);
    }

    @Test
    void openingTurnsTranslationOnAndClosingGivesEverythingBack() {
        Bench bench = Bench.single(Bench.CAP, Bench.ECAP);
        bench.first().leaveOn();
        bench.first().recording = true;
        Iommu iommu = bench.open();

        // TES, RTPS, QIES
        assertThat(bench.first().status()).isEqualTo(0xc4000000);
        assertThat(iommu.units()).containsExactly("dmar0");
        // Global context cache and IOTLB with drains, each with a wait that writes a status.
        List<String> log = bench.first().takeLog();
        assertThat(log).hasSize(4);
        assertThat(log.get(0)).isEqualTo("11 0");
        assertThat(log.get(1)).startsWith("100000025 ");
        assertThat(log.get(2)).isEqualTo("d2 0");
        assertThat(log.get(3)).startsWith("200000025 ");

        iommu.close();
        assertThat(bench.first().status() & 0x84000000).isZero();
        assertThat(bench.pool.inUse()).isZero();
        assertErrno(Errno.ENODEV, () -> bench.probe(iommu, DEVICE));
    }

    @Test
    void openingTurnsOffTheMemoryRegionsThatFirmwareProtected() {
        for (long bit : new long[] {0x20, 0x40}) {
            Bench bench = Bench.single(Bench.CAP | bit, Bench.ECAP);
            bench.first().values.put(0x64, 0x80000001L);
            bench.open();
            assertThat(bench.first().values.get(0x64)).isZero();
        }
        Bench without = Bench.single(Bench.CAP, Bench.ECAP);
        without.first().values.put(0x64, 0x80000001L);
        without.open();
        assertThat(without.first().values.get(0x64)).as("no such register").isEqualTo(0x80000001L);

        Bench stuck = Bench.single(Bench.CAP | 0x60, Bench.ECAP);
        stuck.first().values.put(0x64, 0x80000001L);
        stuck.first().protectionStuck = true;
        assertErrno(Errno.ETIMEDOUT, stuck::open);
        assertThat(stuck.pool.inUse()).isZero();
    }

    @Test
    void openingBringsTheFaultLogBackToTheRegisters() {
        Bench bench = Bench.single(Bench.CAP | 0x8, Bench.ECAP);
        bench.first().leaveOn(0x90000000);
        bench.open();
        assertThat(bench.first().status() & 0x10000000).as("AFLS").isZero();
    }

    @Test
    void openingClearsWhatStoppedTheQueueOfAnEarlierKernel() {
        // IQE, ICE, ITE, of a queue that was left on or off.
        for (int status : new int[] {0, 0x04000000}) {
            Bench bench = Bench.single(Bench.CAP, Bench.ECAP);
            bench.first().leaveOn(status);
            bench.first().values.put(0x34, 0x70L);
            bench.open();
            assertThat(bench.first().values.get(0x34)).isZero();
        }
    }

    @Test
    void openingRefusesWhatMakesNoSense() {
        Bench noTable = Bench.single(Bench.CAP, Bench.ECAP);
        noTable.dmar = null;
        assertErrno(Errno.ENODEV, noTable::open);

        Bench wrongChecksum = Bench.single(Bench.CAP, Bench.ECAP);
        wrongChecksum.dmar[9]++;
        assertErrno(Errno.EINVAL, wrongChecksum::open);

        Bench malformed = Bench.single(Bench.CAP, Bench.ECAP);
        malformed.dmar = new DmarBytes(48, 1).raw(0, 0, 0, 0).bytes();
        assertErrno(Errno.EINVAL, malformed::open);

        Bench noUnit = Bench.single(Bench.CAP, Bench.ECAP);
        noUnit.dmar = new DmarBytes(48, 1).bytes();
        assertErrno(Errno.ENODEV, noUnit::open);

        assertErrno(Errno.ENODEV, () -> Bench.single(0, Bench.ECAP).open());
        assertErrno(Errno.ENODEV, () -> Bench.single(-1, -1).open());

        Bench nothingThere = Bench.single(Bench.CAP, Bench.ECAP);
        nothingThere.units.clear();
        assertErrno(Errno.ENODEV, nothingThere::open);

        Bench frozen = Bench.single(Bench.CAP, Bench.ECAP);
        frozen.first().frozen = true;
        assertErrno(Errno.ETIMEDOUT, frozen::open);
        assertThat(frozen.pool.inUse()).as("nothing was ever on").isZero();
    }

    @Test
    void closingKeepsWhatAUnitMayStillUseThatDoesNotConfirmThatItIsOff() {
        record Case(int stuck, boolean frozen, long kept) {}
        List<Case> cases = List.of(
                new Case(0x80000000, false, 2), // TES: root and context table
                new Case(0x04000000, false, 2), // QIES: descriptors and status word
                new Case(0, true, 4));
        for (Case each : cases) {
            Bench bench = Bench.single(Bench.CAP, Bench.ECAP);
            Iommu iommu = bench.open();
            IommuDevice device = bench.probe(iommu, DEVICE);
            IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device);
            domain.attach(device);
            domain.map(0x1000, 0x1000, K4, 1, Prot.READ);
            domain.detach(device);
            bench.first().stuck = each.stuck;
            bench.first().frozen = each.frozen;

            iommu.close();

            assertThat(iommu.quarantinedFrames()).as(each.toString()).isEqualTo(each.kept);
            assertThat(bench.pool.inUse())
                    .as("tables of domains can't be reached any more")
                    .isEqualTo(each.kept);
            iommu.close();
            assertThat(iommu.quarantinedFrames()).isEqualTo(each.kept);
        }
    }

    @Test
    void anyFailureWhileOpeningOrClosingFreesAllThatIsNotCountedAsKept() {
        Bench bench = Bench.pair(Bench.CAP, Bench.ECAP, Bench.CAP_CM, Bench.ECAP_SC);
        int refused = 0;
        int n = 0;
        long kept = 0;
        do {
            bench.failures.arm(++n);
            try {
                Iommu iommu = bench.open();
                iommu.close();
                kept += iommu.quarantinedFrames();
            } catch (IommuException e) {
                refused++;
                assertThat(e.errno()).isIn(Errno.ENOMEM, Errno.ENODEV, Errno.ETIMEDOUT);
            }
            assertThat(bench.pool.inUse()).as("after failure " + n).isEqualTo(kept);
        } while (bench.failures.fired());
        System.out.println("open: " + n + " calls could fail, " + refused + " refusals");
        assertThat(refused).isGreaterThan(10);
        assertThat(kept)
                .as("one unit or the other does not confirm one of two commands when it is closed")
                .isEqualTo(2 * (1 + 2));
    }

    @Test
    void aDeviceThatComesWhileTheDriverIsClosedIsRefused() {
        for (long ecap : new long[] {Bench.ECAP, Bench.ECAP_SCALABLE}) {
            Bench bench = Bench.single(Bench.CAP_LARGE, ecap);
            Iommu iommu = bench.open();
            IommuDevice device = bench.probe(iommu, DEVICE);
            List<IommuDomain> domains = List.of(
                    iommu.allocate(DomainType.UNMANAGED, device),
                    iommu.allocate(DomainType.IDENTITY, device),
                    iommu.allocate(DomainType.BLOCKED, device));
            bench.atNextWait = () -> {
                for (IommuDomain domain : domains) {
                    assertErrno(Errno.ENODEV, () -> domain.attach(device));
                }
            };

            iommu.close();

            assertThat(bench.pool.inUse()).isEqualTo(iommu.quarantinedFrames()).isZero();
            for (IommuDomain domain : domains) {
                assertErrno(Errno.ENODEV, () -> domain.attach(device));
            }
        }
    }

    @Test
    void aCloseThatIsRefusedLetsDevicesComeAsBefore() {
        Bench bench = Bench.single(Bench.CAP, Bench.ECAP);
        Iommu iommu = bench.open();
        IommuDevice device = bench.probe(iommu, DEVICE);
        IommuDomain before = iommu.allocate(DomainType.UNMANAGED, device);
        IommuDomain busy = iommu.allocate(DomainType.UNMANAGED, device);
        IommuDomain after = iommu.allocate(DomainType.UNMANAGED, device);
        busy.attach(device);

        assertErrno(Errno.EBUSY, iommu::close);

        for (IommuDomain domain : List.of(before, busy, after)) {
            assertThat(domain.attach(device).attached()).isTrue();
        }
        after.detach(device);
        iommu.close();
        assertThat(bench.pool.inUse()).isZero();
    }

    // ---- units that Linux ignores -----------------------------------------------------------------------------------

    /**
     * A unit for a function that does not exist, left on with its queue and interrupt remapping, and one for all
     * others.
     */
    private static Bench ignoringTheFirstUnit() {
        Bench bench = new Bench();
        bench.unit(0xfed90000L, Bench.CAP, Bench.ECAP).leaveOn(0x86000000);
        bench.unit(0xfed91000L, Bench.CAP, Bench.ECAP);
        bench.function(OTHER, 0x020000);
        bench.dmar = new DmarBytes(48, 1)
                .drhd(false, 0, 0xfed90000L, DmarBytes.scope(1, 0, 0, 2, 0))
                .drhd(true, 0, 0xfed91000L)
                .bytes();
        return bench;
    }

    @Test
    void anIgnoredUnitThatWasLeftOnTranslatesForNobodyAndKeepsTheRest() {
        Bench bench = ignoringTheFirstUnit();

        Iommu iommu = bench.open();

        assertThat(iommu.units()).containsExactly("dmar1");
        assertThat(bench.first().status()).as("QIES, IRES").isEqualTo(0x06000000);
        iommu.close();
        assertThat(bench.first().status()).isEqualTo(0x06000000);
        assertThat(bench.pool.inUse()).isZero();
    }

    @Test
    void anIgnoredUnitThatMakesNoSenseOrIsOffIsLeftAlone() {
        Bench none = ignoringTheFirstUnit();
        none.units.remove(0xfed90000L);
        assertThat(none.open().units()).containsExactly("dmar1");

        Bench gone = ignoringTheFirstUnit();
        gone.first().gone = true;
        assertThat(gone.open().units()).containsExactly("dmar1");

        Bench off = ignoringTheFirstUnit();
        off.first().leaveOn(0x06000000);
        off.first().frozen = true;
        assertThat(off.open().units()).containsExactly("dmar1");
    }

    @Test
    void anIgnoredUnitThatGoesOnTranslatingEndsTheOpening() {
        Bench bench = ignoringTheFirstUnit();
        bench.first().stuck = 0x80000000;

        assertErrno(Errno.ETIMEDOUT, bench::open);

        assertThat(bench.pool.inUse()).isZero();
    }

    @Test
    void aMachineOfIgnoredUnitsAloneHasNoDriverAndLearnsWhy() {
        Bench bench = ignoringTheFirstUnit();
        bench.dmar = new DmarBytes(48, 1)
                .drhd(false, 0, 0xfed90000L, DmarBytes.scope(1, 0, 0, 2, 0))
                .drhd(false, 0, 0xfed91000L, DmarBytes.scope(1, 0, 0, 3, 0))
                .bytes();
        bench.functions.clear();
        bench.function(OTHER, 0x030000);
        bench.commandLine = "intel_iommu=on,igfx_off";

        assertErrno(Errno.ENODEV, bench::open);
        assertThatThrownBy(bench::open)
                .hasMessageContaining("Linux would use no unit of DMAR")
                .hasMessageContaining("dmar0: no device of its scope exists")
                .hasMessageContaining("dmar1: it has only graphics");
        assertThat(bench.first().status()).isEqualTo(0x06000000);
    }

    @Test
    void anUnknownReleaseIsRefusedByName() {
        assertThatThrownBy(() -> IntelRules.of(new LinuxRelease(5, 4)))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("5.4")
                .hasMessageContaining("7.1");
    }

    @Test
    void attachingPointsEveryAliasAtTheTable() {
        Bench bench = Bench.single(Bench.CAP, Bench.ECAP);
        Iommu iommu = bench.open();
        IommuDevice device = bench.probe(iommu, DEVICE, 0x0010, 0x0500);
        IommuDomain domain = iommu.allocate(DomainType.DMA, device);
        bench.first().recording = true;

        assertThat(domain.attach(device).attached()).isTrue();

        long[] own = bench.contextEntry(0x0010);
        assertThat(own[0] & 0xfff).isEqualTo(1);
        assertThat(own[1]).isEqualTo(0x202);
        assertThat(bench.contextEntry(0x0500)).isEqualTo(own);
        // Nothing was cached of entries that were not present.
        assertThat(bench.first().takeLog()).isEmpty();

        domain.detach(device);
        assertThat(bench.contextEntry(0x0010)).containsOnly(0);
        assertThat(bench.contextEntry(0x0500)).containsOnly(0);
        List<String> log = bench.first().takeLog();
        assertThat(log).hasSize(5);
        assertThat(log.get(0)).isEqualTo("1000020031 0");
        assertThat(log.get(1)).isEqualTo("50000020031 0");
        assertThat(log.get(3)).isEqualTo("200e2 0");
    }

    @Test
    void cachingModeIsToldOfNewEntries() {
        Bench bench = Bench.single(Bench.CAP_CM, Bench.ECAP);
        Iommu iommu = bench.open();
        IommuDevice device = bench.probe(iommu, DEVICE);
        IommuDomain domain = iommu.allocate(DomainType.DMA, device);
        bench.first().recording = true;

        domain.attach(device);
        List<String> log = bench.first().takeLog();
        assertThat(log.get(0)).isEqualTo("1000000031 0");
        assertThat(log.get(2)).isEqualTo("200e2 0");

        domain.map(0x5000, 0x5000, K4, 3, Prot.READ);
        assertThat(bench.first().takeLog()).isEmpty();
        domain.syncMap(0x5000, 3 * K4);
        // 4 pages from 4: the smallest aligned power of two that covers 5 to 7.
        assertThat(bench.first().takeLog().get(0)).isEqualTo("200f2 4002");
    }

    @Test
    void aWriteBufferIsFlushedAfterMapping() {
        Bench bench = Bench.single(Bench.CAP_RWBF, Bench.ECAP);
        Iommu iommu = bench.open();
        IommuDevice device = bench.probe(iommu, DEVICE);
        IommuDomain domain = iommu.allocate(DomainType.DMA, device);
        bench.first().recording = true;
        domain.attach(device);
        assertThat(bench.first().takeLog()).containsExactly("WBF");
        domain.map(0x5000, 0x5000, K4, 1, Prot.READ);
        domain.syncMap(0x5000, K4);

        assertThat(bench.first().takeLog()).containsExactly("WBF");
    }

    @Test
    void syncInvalidatesPagesOrTheWholeDomainOnEveryUnit() {
        Bench bench = Bench.pair(Bench.CAP_LARGE, Bench.ECAP, Bench.CAP_LARGE & ~(1L << 39), Bench.ECAP);
        Iommu iommu = bench.open();
        IommuDevice device = bench.probe(iommu, DEVICE);
        IommuDevice other = bench.probe(iommu, OTHER);
        IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device);
        domain.attach(device);
        domain.attach(other);
        domain.map(0, 0, 1L << 30, 4, Prot.READ_WRITE);
        bench.units.values().forEach(unit -> unit.recording = true);
        RegistersDouble first = bench.units.get(0xfed90000L);
        RegistersDouble second = bench.units.get(0xfed91000L);
        IotlbGather gather = new IotlbGather();

        domain.unmap(1L << 30, 1L << 30, gather);
        domain.sync(gather);
        assertThat(first.takeLog().get(0)).isEqualTo("200f2 40000052");
        assertThat(second.takeLog().get(0)).isEqualTo("200e2 0");

        // 2^19 pages exceed MAMV.
        domain.unmap(2L << 30, 2L << 30, gather);
        domain.sync(gather);
        assertThat(first.takeLog().get(0)).isEqualTo("200e2 0");
        assertThat(gather.isEmpty()).isTrue();
    }

    @Test
    void aUnitWithoutAQueueIsToldByRegisters() {
        Bench bench = Bench.single(Bench.CAP, Bench.ECAP & ~2L);
        Iommu iommu = bench.open();
        assertThat(bench.first().status()).isEqualTo(0xc0000000);
        IommuDevice device = bench.probe(iommu, DEVICE);
        IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device);
        domain.attach(device);
        domain.map(0x7000, 0x7000, K4, 1, Prot.READ);
        bench.first().takeLog();
        IotlbGather gather = new IotlbGather();
        domain.unmap(0x7000, K4, gather);
        domain.sync(gather);
        domain.detach(device);

        assertThat(bench.first().takeLog())
                .containsExactly(
                        "IOTLB b003000200000000 IVA 7040", "CCMD e000000000100002", "IOTLB a003000200000000 IVA 7040");
    }

    @Test
    void anInvalidationThatRegistersRefuseIsNotTakenAsDone() {
        Bench bench = Bench.single(Bench.CAP, Bench.ECAP & ~2L);
        Iommu iommu = bench.open();
        IommuDevice device = bench.probe(iommu, DEVICE);
        IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device);
        domain.attach(device);
        domain.map(0, 0, K4, 512, Prot.READ);
        IotlbGather gather = new IotlbGather();
        domain.unmap(0, 512 * K4, gather);
        bench.first().refusing = true;

        assertThatThrownBy(() -> domain.sync(gather))
                .hasMessageContaining("ETIMEDOUT")
                .hasMessageContaining("IAIG is 0");

        assertThat(iommu.quarantinedFrames()).isEqualTo(1);
        assertErrno(Errno.EIO, () -> domain.detach(device));
    }

    @Test
    void aContextCacheThatIsNotInvalidatedKeepsTheTables() {
        Bench bench = Bench.single(Bench.CAP, Bench.ECAP & ~2L);
        Iommu iommu = bench.open();
        IommuDevice device = bench.probe(iommu, DEVICE);
        IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device);
        domain.attach(device);
        bench.first().refusing = true;

        assertErrno(Errno.ETIMEDOUT, () -> domain.detach(device));

        domain.close();
        iommu.close();
        assertThat(bench.pool.inUse()).isEqualTo(iommu.quarantinedFrames()).isEqualTo(1);
    }

    @Test
    void aMissingInvalidationBreaksTheUnitAndQuarantinesFrames() {
        Bench bench = Bench.single(Bench.CAP_LARGE, Bench.ECAP);
        Iommu iommu = bench.open();
        IommuDevice device = bench.probe(iommu, DEVICE);
        IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device);
        IommuDomain unused = iommu.allocate(DomainType.UNMANAGED, device);
        domain.attach(device);
        domain.map(0, 0, K4, 512, Prot.READ_WRITE);
        IotlbGather gather = new IotlbGather();
        domain.unmap(0, 512 * K4, gather);
        long inUse = bench.pool.inUse();
        bench.first().frozen = true;

        assertErrno(Errno.ETIMEDOUT, () -> domain.sync(gather));
        assertThat(gather.isEmpty()).isTrue();
        assertThat(iommu.quarantinedFrames()).isEqualTo(1);
        assertThat(bench.pool.inUse()).isEqualTo(inUse);
        bench.first().frozen = false;
        assertErrno(Errno.EIO, () -> unused.attach(device));
        // No device came into that domain, so its mappings are nothing to the broken unit.
        unused.map(0, 0, K4, 1, Prot.READ);
        unused.unmap(0, K4, gather);
        unused.sync(gather);
        assertErrno(Errno.EIO, () -> domain.detach(device));
        assertErrno(Errno.EINVAL, () -> domain.detach(device));
        domain.close();
        unused.close();
        iommu.close();
        assertThat(bench.pool.inUse()).isEqualTo(iommu.quarantinedFrames()).isEqualTo(4);
    }

    @Test
    void anAttachThatFindsTheUnitBrokenAfterItsEntryWasPresentKeepsTheTables() {
        record Case(long cap, long ecap) {}
        List<Case> cases = List.of(
                new Case(Bench.CAP_CM, Bench.ECAP),
                new Case(Bench.CAP_RWBF, Bench.ECAP),
                new Case(Bench.CAP_CM, Bench.ECAP_SECOND_STAGE),
                new Case(Bench.CAP_CM, Bench.ECAP_SCALABLE));
        for (Case each : cases) {
            Bench bench = Bench.single(each.cap, each.ecap);
            Iommu iommu = bench.open();
            IommuDevice device = bench.probe(iommu, DEVICE);
            IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device);
            IommuDomain late = iommu.allocate(DomainType.UNMANAGED, device);
            UnitCommands unit = ((IntelIommu) iommu).state().units().get(0).commands();
            // As soon as the entry is present, somebody else's invalidation of another domain fails.
            bench.memory.afterStore = word -> {
                if ((word & 1) != 0) {
                    unit.breakDown();
                }
            };

            assertErrno(Errno.EIO, () -> domain.attach(device));
            assertErrno(Errno.EIO, () -> late.attach(device));

            assertErrno(Errno.EINVAL, () -> domain.detach(device));
            domain.close();
            assertThat(iommu.quarantinedFrames()).as(each.toString()).isEqualTo(1);
            late.close();
            iommu.close();
            assertThat(bench.pool.inUse())
                    .as("a domain that comes later was never seen")
                    .isEqualTo(iommu.quarantinedFrames())
                    .isEqualTo(1);
        }
    }

    @Test
    void aBatchMayBeLargerThanTheQueue() {
        Bench bench = Bench.single(Bench.CAP, Bench.ECAP);
        Iommu iommu = bench.open();
        int[] aliases = new int[300];
        for (int i = 0; i < aliases.length; i++) {
            aliases[i] = 0x10 + i;
        }
        IommuDevice device = bench.probe(iommu, DEVICE, aliases);
        IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device);
        domain.attach(device);
        bench.first().recording = true;

        domain.detach(device);

        // Device-selective, of domain 2, one for each alias.
        assertThat(bench.first().takeLog())
                .filteredOn(descriptor -> descriptor.endsWith("00020031 0"))
                .hasSize(300)
                .doesNotHaveDuplicates()
                .contains("1000020031 0", "13b00020031 0");
    }

    @Test
    void everyUnitIsAskedToForgetEvenWhenOneDoesNotAnswer() {
        Bench bench = Bench.pair(Bench.CAP_LARGE, Bench.ECAP, Bench.CAP_LARGE, Bench.ECAP);
        Iommu iommu = bench.open();
        IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, bench.probe(iommu, DEVICE));
        domain.attach(bench.probe(iommu, DEVICE));
        domain.attach(bench.probe(iommu, OTHER));
        domain.map(0, 0, K4, 1, Prot.READ);
        IotlbGather gather = new IotlbGather();
        domain.unmap(0, K4, gather);
        bench.units.get(0xfed90000L).frozen = true;
        RegistersDouble second = bench.units.get(0xfed91000L);
        second.recording = true;

        assertErrno(Errno.ETIMEDOUT, () -> domain.sync(gather));

        assertThat(second.takeLog().get(0)).isEqualTo("200f2 40");
    }

    @Test
    void aContextEntryIsWrittenBackAndBecomesPresentAfterItsOtherHalf() {
        Bench bench = Bench.single(Bench.CAP, Bench.ECAP_NONCOHERENT);
        bench.memory.recording = true;
        Iommu iommu = bench.open();
        IommuDevice device = bench.probe(iommu, DEVICE);
        long root = bench.first().values.get(0x20) & ~0xfffL;
        long table = bench.flat.load(root) & ~0xfffL;
        assertThat(bench.memory.writtenBack).as("the cleared tables").contains(root, root + 4088, table, table + 4088);

        iommu.allocate(DomainType.UNMANAGED, device).attach(device);

        long entry = table + 0x10 * 16;
        assertThat(bench.memory.writtenBack).endsWith(entry + 8, entry);
    }

    @Test
    void anyFailureWhileMovingADeviceLeavesItWhereItWas() {
        int n = 0;
        int refused = 0;
        boolean fired;
        do {
            Bench bench = Bench.single(Bench.CAP_CM, Bench.ECAP);
            Iommu iommu = bench.open();
            IommuDevice device = bench.probe(iommu, DEVICE);
            IommuDomain from = iommu.allocate(DomainType.DMA, device);
            from.attach(device);
            from.map(0x1000, 0x2000, K4, 1, Prot.READ);
            long[] entry = bench.contextEntry(0x10);
            long inUse = bench.pool.inUse();
            bench.failures.arm(++n);
            IommuDomain to = null;
            try {
                to = iommu.allocate(DomainType.UNMANAGED, device);
                to.attach(device);
            } catch (IommuException e) {
                refused++;
                assertThat(e.errno()).isIn(Errno.ENOMEM, Errno.ETIMEDOUT);
                assertThat(bench.contextEntry(0x10)).isEqualTo(entry);
                assertThat(bench.leaf(0x10, 0x1000)).isEqualTo(0x2001);
                if (to != null) {
                    to.close();
                }
                assertThat(bench.pool.inUse()).isEqualTo(inUse + iommu.quarantinedFrames());
            }
            fired = bench.failures.fired();
        } while (fired);
        // The root table's frame, and one wait for each of four batches.
        assertThat(refused).isEqualTo(5);
    }

    @Test
    void identityPassesThroughWhereTheUnitCan() {
        Bench bench = Bench.pair(Bench.CAP, Bench.ECAP, Bench.CAP, Bench.ECAP & ~0x40L);
        Iommu iommu = bench.open();
        IommuDevice device = bench.probe(iommu, DEVICE);
        IommuDevice other = bench.probe(iommu, OTHER);
        IommuDomain identity = iommu.allocate(DomainType.IDENTITY, device);
        identity.attach(device);

        // Present, pass-through; AW 2 and domain id 1.
        assertThat(bench.contextEntry(0x10)).containsExactly(0x9, 0x102);
        assertThat(identity.translate(0x1234)).isEqualTo(0x1234);
        assertThat(identity.cacheCoherencyEnforcement()).isEmpty();
        assertErrno(Errno.EOPNOTSUPP, () -> iommu.allocate(DomainType.IDENTITY, other));
        assertThat(identity.attach(other).attached()).isFalse();
        assertErrno(Errno.EINVAL, () -> identity.map(0, 0, K4, 1, Prot.READ));

        IommuDomain blocked = iommu.allocate(DomainType.BLOCKED, device);
        blocked.attach(device);
        assertThat(bench.contextEntry(0x10)).containsOnly(0);
        assertThat(blocked.translate(0)).isEqualTo(IommuDomain.UNMAPPED);
        assertThat(blocked.cacheCoherencyEnforcement()).isEmpty();
        blocked.detach(device);
        assertErrno(Errno.EINVAL, () -> identity.detach(device));
    }

    @Test
    void domainIdsRunOutAndComeBack() {
        // ND 0: 16 ids, two of them reserved.
        Bench bench = Bench.single(Bench.CAP & ~7L, Bench.ECAP);
        for (int i = 0; i < 16; i++) {
            bench.function("0000:01:00." + (i & 7), 0x020000);
            bench.function(String.format("0000:02:%02x.0", i), 0x020000);
        }
        Iommu iommu = bench.open();
        IommuDomain[] domains = new IommuDomain[15];
        for (int i = 0; i < 15; i++) {
            IommuDevice device = bench.probe(iommu, String.format("0000:02:%02x.0", i));
            domains[i] = iommu.allocate(DomainType.UNMANAGED, device);
            if (i < 14) {
                assertThat(domains[i].attach(device).attached()).isTrue();
                assertThat(bench.contextEntry(0x200 + i * 8)[1] >>> 8).isEqualTo(i + 2);
            }
        }
        IommuDevice last = bench.probe(iommu, "0000:02:0e.0");
        assertErrno(Errno.ENOSPC, () -> domains[14].attach(last));
        // A second device of a domain needs no id of its own, and the last one out gives it back.
        IommuDevice second = bench.probe(iommu, "0000:01:00.0");
        assertThat(domains[3].attach(second).attached()).isTrue();
        domains[3].detach(bench.probe(iommu, "0000:02:03.0"));
        assertErrno(Errno.ENOSPC, () -> domains[14].attach(last));
        assertErrno(Errno.EBUSY, domains[3]::close);
        domains[3].detach(second);
        assertThat(domains[14].attach(last).attached()).isTrue();
        assertThat(bench.contextEntry(0x270)[1] >>> 8).isEqualTo(5);
        assertErrno(Errno.EBUSY, iommu::close);
    }

    @Test
    void aDomainMeetsOnlyUnitsThatCanWalkItsTable() {
        record Case(long cap0, long ecap0, long cap1, long ecap1, String reason) {}
        List<Case> cases = List.of(
                new Case(Bench.CAP, Bench.ECAP, Bench.CAP, Bench.ECAP_NONCOHERENT, "ECAP.C"),
                new Case(Bench.CAP, Bench.ECAP, Bench.CAP_39, Bench.ECAP, "4 levels"),
                new Case(Bench.CAP, Bench.ECAP, 0xd20080222f0206L, Bench.ECAP, "4 levels"),
                new Case(Bench.CAP_LARGE, Bench.ECAP, Bench.CAP, Bench.ECAP, "page sizes 0x40200000"),
                new Case(Bench.CAP_LARGE, Bench.ECAP, Bench.CAP_CM, Bench.ECAP, "CAP.CM"),
                new Case(Bench.CAP_LARGE, Bench.ECAP, Bench.CAP_RWBF, Bench.ECAP, "CAP.RWBF"));
        for (Case each : cases) {
            Bench bench = Bench.pair(each.cap0, each.ecap0, each.cap1, each.ecap1);
            Iommu iommu = bench.open();
            IommuDevice device = bench.probe(iommu, DEVICE);
            IommuDevice other = bench.probe(iommu, OTHER);
            IommuDomain own = iommu.allocate(DomainType.UNMANAGED, other);
            own.attach(other);
            IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device);
            domain.attach(device);

            AttachResult result = domain.attach(other);

            assertThat(result.attached()).as(each.reason).isFalse();
            assertThat(result.reason()).contains("dmar1", each.reason);
            assertErrno(Errno.EINVAL, () -> own.detach(other));
        }
        // The other way round a unit that can do more joins.
        Bench bench = Bench.pair(Bench.CAP_RWBF, Bench.ECAP_NONCOHERENT, Bench.CAP_LARGE, Bench.ECAP_SC);
        Iommu iommu = bench.open();
        IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, bench.probe(iommu, DEVICE));
        assertThat(domain.attach(bench.probe(iommu, OTHER)).attached()).isTrue();
    }

    @Test
    void enforcementAsksTheUnitsOfAttachedDevicesAndBindsLaterOnes() {
        Bench bench = Bench.pair(Bench.CAP, Bench.ECAP_SC, Bench.CAP, Bench.ECAP);
        Iommu iommu = bench.open();
        IommuDevice capable = bench.probe(iommu, DEVICE);
        IommuDevice incapable = bench.probe(iommu, OTHER);
        assertThat(iommu.capable(capable, IommuCapability.ENFORCE_CACHE_COHERENCY))
                .isTrue();
        assertThat(iommu.capable(incapable, IommuCapability.ENFORCE_CACHE_COHERENCY))
                .isFalse();

        IommuDomain mixed = iommu.allocate(DomainType.UNMANAGED, capable);
        mixed.attach(capable);
        mixed.attach(incapable);
        assertThat(mixed.cacheCoherencyEnforcement().orElseThrow().enforce()).isFalse();
        mixed.map(0x1000, 0x1000, K4, 1, Prot.READ);
        assertThat(mixed.translate(0x1000)).isEqualTo(0x1000);
        mixed.detach(capable);

        IommuDomain enforced = iommu.allocate(DomainType.UNMANAGED, capable);
        assertThat(enforced.cacheCoherencyEnforcement().orElseThrow().enforce()).isTrue();
        assertThat(enforced.attach(incapable).reason()).contains("ECAP.SC");
        assertThat(enforced.attach(capable).attached()).isTrue();
        assertThat(enforced.cacheCoherencyEnforcement().orElseThrow().enforce()).isTrue();
        // The refused device was blocked before, as in Linux.
        assertErrno(Errno.EINVAL, () -> mixed.detach(incapable));
        assertThat(mixed.attach(incapable).attached()).isTrue();
    }

    @Test
    void theRestOfTheQuestionsAreAnsweredAsLinuxDoes() {
        Bench bench = Bench.pair(Bench.CAP, Bench.ECAP_SC, Bench.CAP, Bench.ECAP & ~8L);
        Iommu iommu = new IntelVendor().open(bench.context(true));
        IommuDevice graphics = bench.probe(iommu, DEVICE);
        IommuDevice network = bench.probe(iommu, OTHER);

        assertThat(iommu.capable(graphics, IommuCapability.CACHE_COHERENCY)).isTrue();
        assertThat(iommu.capable(graphics, IommuCapability.PRE_BOOT_PROTECTION)).isTrue();
        assertThat(iommu.capable(graphics, IommuCapability.DIRTY_TRACKING)).isFalse();
        assertThat(network.isolatedMsi())
                .as("its unit has no interrupt remapping")
                .isFalse();
        assertThat(graphics.isolatedMsi())
                .as("its unit has it, but Linux remaps for all units or for none")
                .isFalse();
        assertThat(bench.probe(iommu, DEVICE)).isSameAs(graphics);
        assertThat(graphics.reservedRegions())
                .containsExactly(
                        new ReservedRegion(0x8000000, 0x80fffff, ReservedRegion.Type.DIRECT_RELAXABLE),
                        new ReservedRegion(0xfee00000L, 0xfeefffffL, ReservedRegion.Type.MSI));
        assertThat(network.reservedRegions().get(0).type()).isEqualTo(ReservedRegion.Type.DIRECT);

        Bench off = Bench.pair(Bench.CAP, Bench.ECAP_SC, Bench.CAP, Bench.ECAP);
        Iommu on = new IntelVendor().open(off.context(true));
        assertThat(off.probe(on, DEVICE).isolatedMsi()).isTrue();
        on.close();
        Iommu without = new IntelVendor().open(off.context(false));
        assertThat(off.probe(without, DEVICE).isolatedMsi()).isFalse();
        Iommu foreign = without;
        assertErrno(Errno.ENODEV, () -> foreign.capable(graphics, IommuCapability.CACHE_COHERENCY));
    }

    @Test
    void anIsaBridgeKeepsTheLowestMemoryForFloppyDisks() {
        Bench bench = Bench.single(Bench.CAP, Bench.ECAP);
        bench.function("0000:00:1f.0", 0x060100);
        IommuDevice bridge = bench.probe(bench.open(), "0000:00:1f.0");
        assertThat(bridge.reservedRegions())
                .containsExactly(
                        new ReservedRegion(0, 0xffffff, ReservedRegion.Type.DIRECT_RELAXABLE),
                        new ReservedRegion(0xfee00000L, 0xfeefffffL, ReservedRegion.Type.MSI));
    }

    @Test
    void scopesAreFollowedThroughBridgesAndCoverWhatIsBelowThem() {
        Bench bench = new Bench();
        bench.unit(0xfed90000L, Bench.CAP, Bench.ECAP);
        bench.unit(0xfed91000L, Bench.CAP, Bench.ECAP_SC);
        bench.unit(0xfed92000L, Bench.CAP, Bench.ECAP);
        bench.function("0000:00:01.0", 0x060400, null, 5);
        bench.function("0000:00:1c.0", 0x060400, null, 7);
        bench.function("0000:05:00.0", 0x060400, "0000:00:01.0", 6);
        bench.function("0000:06:03.0", 0x020000, "0000:05:00.0", 0);
        bench.function("0000:06:04.0", 0x020000, "0000:05:00.0", 0);
        bench.function("0000:07:00.0", 0x020000, "0000:00:1c.0", 0);
        bench.function("0001:00:02.0", 0x020000);
        bench.dmar = new DmarBytes(48, 1)
                // Bus 0, through 01.0 and 00.0, to 03.0: bus numbers come from the bridges.
                .drhd(false, 0, 0xfed90000L, DmarBytes.scope(1, 0, 0, 1, 0, 0, 0, 3, 0))
                .drhd(false, 0, 0xfed91000L, DmarBytes.scope(2, 0, 0, 0x1c, 0), DmarBytes.scope(3, 2, 0xf0, 0x1f, 0))
                .drhd(true, 0, 0xfed92000L, DmarBytes.scope(4, 0, 0, 0x1f, 0))
                .drhd(false, 0, 0xfed93000L)
                .bytes();
        // The fourth unit has no function here: Linux ignores it, whether it answers or not.
        Iommu iommu = bench.open();
        assertThat(iommu.units()).containsExactly("dmar0", "dmar1", "dmar2");

        HostDescription host = new IntelVendor()
                .describe(
                        signature -> Optional.of(bench.dmar),
                        () -> bench.functions,
                        (unit, base, register) -> base.getAsLong() == 0xfed92000L
                                ? OptionalLong.empty()
                                : OptionalLong.of(
                                        register.equals("CAP")
                                                ? Bench.CAP
                                                : base.getAsLong() == 0xfed91000L ? Bench.ECAP_SC : Bench.ECAP),
                        LinuxRelease.NEWEST);
        assertThat(host.devices())
                .extracting(device -> device.id() + " " + device.unit() + " " + device.enforceCacheCoherency())
                .containsExactly(
                        "0000:00:01.0 dmar2 UNKNOWN",
                        "0000:00:1c.0 dmar1 YES",
                        "0000:05:00.0 dmar2 UNKNOWN",
                        "0000:06:03.0 dmar0 NO",
                        "0000:06:04.0 dmar2 UNKNOWN",
                        "0000:07:00.0 dmar1 YES",
                        "0001:00:02.0 null NO");
        assertThat(host.units().get(0).scope()).map(Object::toString).containsExactly("0000:06:03.0");
        assertThat(host.units().get(1).scope())
                .map(Object::toString)
                .containsExactly("0000:00:1c.0 and below", "IOAPIC 2 at 0000:f0:1f.0");
        assertThat(host.units().get(2).includeAll()).isEqualTo(Answer.YES);
        assertThat(iommu.probe(
                        bench.functions.get(6), PciAddress.parse("0001:00:02.0").requesterId()))
                .isEmpty();
    }

    @Test
    void descriptionsDecodeRegistersByTheManualsNames() {
        Bench bench = Bench.single(Bench.CAP, Bench.ECAP);
        bench.dmar[9]++;
        HostDescription host = new IntelVendor()
                .describe(
                        signature -> Optional.of(bench.dmar),
                        () -> bench.functions,
                        (unit, base, register) ->
                                OptionalLong.of(register.equals("CAP") ? 0xd2008c222f0606L : 0xf00f4aL),
                        LinuxRelease.NEWEST);
        UnitDescription unit = host.units().get(0);

        assertThat(host.warnings()).singleElement().asString().contains("checksum");
        assertThat(unit.id()).isEqualTo("dmar0");
        assertThat(unit.abilities().blocksNoSnoop()).isEqualTo(Answer.NO);
        assertThat(unit.abilities().coherentWalk()).isEqualTo(Answer.NO);
        assertThat(unit.abilities().interruptRemapping()).isEqualTo(Answer.YES);
        assertThat(unit.fields())
                .containsEntry("CAP.ND", 6L)
                .containsEntry("CAP.SAGAW", 6L)
                .containsEntry("CAP.MGAW", 47L)
                .containsEntry("CAP.FRO", 0x22L)
                .containsEntry("CAP.PSI", 1L)
                .containsEntry("CAP.MAMV", 0x12L)
                .containsEntry("ECAP.SC", 0L)
                .containsEntry("ECAP.PT", 1L)
                .containsEntry("ECAP.IRO", 0xfL)
                .containsEntry("ECAP.MHMV", 0xfL);

        UnitDescription unknown = new IntelVendor()
                .describe(
                        signature -> Optional.of(bench.dmar),
                        () -> bench.functions,
                        RegisterValues.UNKNOWN,
                        LinuxRelease.NEWEST)
                .units()
                .get(0);
        assertThat(unknown.abilities().blocksNoSnoop()).isEqualTo(Answer.UNKNOWN);
        assertThat(unknown.fields()).isEmpty();
    }

    @Test
    void faultsAreReadClearedAndHandedOutOldestFirst() {
        Bench bench = Bench.single(Bench.CAP, Bench.ECAP);
        Iommu iommu = bench.open();
        RegistersDouble unit = bench.first();
        unit.values.put(0x34, 2L);
        unit.values.put(0x220, 0x12345000L);
        unit.values.put(0x228, 0xc000000600000010L);

        List<DmaFault> faults = iommu.takeFaults();

        assertThat(unit.values.get(0x22c)).isEqualTo(0x80000000L);
        assertThat(faults)
                .containsExactly(new DmaFault(
                        "dmar0",
                        PciAddress.parse(DEVICE),
                        DmaFault.NO_PASID,
                        0x12345000L,
                        false,
                        6,
                        "read of a page without read permission"));
        unit.values.put(0x34, 0);
        assertThat(iommu.takeFaults()).as("handed out once").isEmpty();
        assertThat(iommu.faultOverflows()).isZero();

        // A write with PASID 0x321, and the log was full.
        unit.values.put(0x34, 3L);
        unit.values.put(0x228, 0x8003210580000010L);
        assertThat(iommu.takeFaults())
                .singleElement()
                .satisfies(fault -> assertThat(fault.pasid()).isEqualTo(0x321))
                .satisfies(fault -> assertThat(fault.write()).isTrue());
        assertThat(iommu.faultOverflows()).isEqualTo(1);
        assertThat(unit.values.get(0x34) & 1).as("overflow is cleared").isZero();
    }

    @Test
    void aRefusedInterruptNamesItsEntryInsteadOfAnAddress() {
        Bench bench = Bench.single(Bench.CAP, Bench.ECAP);
        Iommu iommu = bench.open();
        RegistersDouble unit = bench.first();
        unit.values.put(0x34, 2L);
        unit.values.put(0x220, 0xabcd_0000_0000_0000L);
        unit.values.put(0x228, 0xc000002200000010L);

        List<DmaFault> faults = iommu.takeFaults();

        assertThat(faults)
                .containsExactly(new DmaFault(
                        "dmar0",
                        PciAddress.parse(DEVICE),
                        DmaFault.NO_PASID,
                        0xfee00000L,
                        true,
                        0x22,
                        "interrupt by entry 43981: entry is not present"));
        // One in compatibility format has no entry.
        unit.values.put(0x220, 0);
        unit.values.put(0x228, 0x8000002500000010L);
        assertThat(iommu.takeFaults())
                .singleElement()
                .satisfies(fault ->
                        assertThat(fault.description()).isEqualTo("interrupt: compatibility format is blocked"));
    }

    @Test
    void faultsThatNobodyAsksForAreKeptUpToALimit() {
        Bench bench = Bench.single(Bench.CAP, Bench.ECAP);
        Iommu iommu = bench.open();
        FaultLog log = ((IntelIommu) iommu).state().units().get(0).faults();
        bench.first().values.put(0x34, 2L);
        bench.first().values.put(0x228, 0xc000000600000010L);
        for (int i = 0; i < FaultLog.KEPT + 5; i++) {
            log.drain();
        }
        bench.first().values.put(0x34, 0);

        assertThat(iommu.takeFaults()).hasSize(FaultLog.KEPT);
        assertThat(iommu.faultOverflows()).isEqualTo(5);
    }
}
