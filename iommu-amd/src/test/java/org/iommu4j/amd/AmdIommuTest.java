// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.iommu4j.amd.TestPlatform.BASE;
import static org.iommu4j.amd.TestPlatform.entry8;
import static org.iommu4j.amd.TestPlatform.ivhd;
import static org.iommu4j.amd.TestPlatform.ivhd10;
import static org.iommu4j.amd.TestPlatform.ivmd;
import static org.iommu4j.amd.TestPlatform.range;
import static org.iommu4j.amd.TestPlatform.table;

import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
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
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.MalformedTableException;
import org.iommu4j.platform.support.FramePool;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.BootOptions;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.spi.KernelParameter;
import org.iommu4j.spi.RegisterValues;
import org.iommu4j.spi.UnitDescription;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The driver over a hand-made unit that writes down the commands it is given. */
class AmdIommuTest {
    private static final long K4 = 4096;

    private final TestPlatform platform = new TestPlatform();

    private static void refuses(Errno errno, ThrowingCallable call) {
        assertThatThrownBy(call)
                .isInstanceOfSatisfying(
                        IommuException.class, e -> assertThat(e.errno()).isEqualTo(errno));
    }

    private IommuDevice device(Iommu iommu, int bus) {
        return iommu.probe(platform.function(0, bus, 0, 0)).orElseThrow();
    }

    @Test
    void theVendorIsFoundByItsName() {
        assertThat(IommuVendors.load().named("amd")).isInstanceOf(AmdVendor.class);
    }

    // --- open ---

    @Test
    void openingBlocksEveryDeviceAndTurnsTheUnitOn() {
        AmdIommu iommu = platform.open();
        assertThat(iommu.units()).containsExactly("ivhd0");
        assertThat(platform.commands).containsExactly("all");
        // IommuEn, EventLogEn, InvTimeOut 1 s, Coherent, CmdBufEn.
        assertThat(platform.unit.registers[0x18 / 8]).isEqualTo(0x1485);
        assertThat(platform.unit.registers[1] >>> 56).isEqualTo(9);
        assertThat(platform.unit.registers[2] >>> 56).isEqualTo(9);
        // Ids up to 0x1ff: 4 frames.
        assertThat(platform.unit.registers[0] & 0x1ff).isEqualTo(3);
        for (int id = 0; id < 0x200; id++) {
            assertThat(platform.unit.deviceTableWord(id, 0)).isEqualTo(3);
            assertThat(platform.unit.deviceTableWord(id, 1)).isZero();
        }
        iommu.close();
        assertThat(platform.unit.registers[0x18 / 8] & 0x1005).isZero();
        assertThat(platform.frames.inUse()).isZero();
    }

    @Test
    void withoutInvalidateAllEveryEntryAndDomainIsForgottenOneByOne() {
        platform.efr = 0x800;
        platform.open();
        assertThat(platform.commands).hasSize(0x200 + 0x200 + 0x10000);
        for (int id = 0; id < 0x200; id++) {
            assertThat(platform.commands.get(id)).isEqualTo(String.format("devtab %04x", id));
            assertThat(platform.commands.get(0x200 + id)).isEqualTo(String.format("inttab %04x", id));
        }
        assertThat(platform.commands.get(0x400)).isEqualTo("pages 0 7ffffffffffff003");
        assertThat(platform.commands.get(0x3ff + 0x10000)).isEqualTo("pages 65535 7ffffffffffff003");
    }

    @Test
    void whatFirmwareOrAnEarlierKernelLeftOnIsOff() {
        // PprIntEn, PprEn, GALogEn, GAIntEn, IRTCacheDis; GAEn and XTEn belong to interrupt remapping and stay.
        long left = 1 << 14 | 1 << 15 | 1 << 28 | 1 << 29 | 1L << 59;
        long kept = 1 << 17 | 1L << 50;
        platform.unit.registers[0x18 / 8] = left | kept | 0x301f;
        AmdIommu iommu = platform.open();
        assertThat(platform.unit.registers[0x18 / 8]).isEqualTo(0x1485 | kept);
        iommu.close();
        assertThat(platform.unit.registers[0x18 / 8] & (left | kept | 0x301d)).isEqualTo(kept);
    }

    @Test
    void openingRefusesWhatItCannotUse() {
        byte[] good = platform.ivrs;
        platform.ivrs = good.clone();
        platform.ivrs[10] ^= 1;
        refuses(Errno.EINVAL, platform::open);
        platform.ivrs = table(0, new byte[] {0x10, 0, 3, 0});
        refuses(Errno.EINVAL, platform::open);
        platform.ivrs = table(0);
        refuses(Errno.ENODEV, platform::open);
        platform.ivrs = table(0, ivhd10(0x1000_0000L, 2, range(8, 0x1ff)));
        refuses(Errno.ENODEV, platform::open);
        platform.ivrs = table(0, ivhd10(BASE + 0x1000, 2, range(8, 0x1ff)));
        refuses(Errno.ENODEV, platform::open);
        platform.ivrs = good;
        platform.efr = -1L;
        refuses(Errno.ENODEV, platform::open);
        platform.efr = 0x8c0;
        platform.stuck = true;
        refuses(Errno.ETIMEDOUT, platform::open);
        assertThat(platform.frames.inUse()).isZero();
        assertThat(platform.unit.registers[0x18 / 8] & 0x1005).isZero();
    }

    @Test
    void closingKeepsQueuesAndDeviceTableOfAUnitThatDoesNotConfirmThatItIsOff() {
        // CmdBufRun, EventLogRun, PprLogRun
        for (long running : new long[] {1 << 4, 1 << 3, 1 << 7}) {
            TestPlatform each = new TestPlatform();
            AmdIommu iommu = each.open();
            each.unit.registers[0x2020 / 8] = running;

            iommu.close();

            // Commands and events of 8 KiB each, the word that completion waits store to, 0x200 entries of 32 bytes.
            assertThat(iommu.quarantinedFrames()).isEqualTo(9);
            assertThat(each.frames.inUse()).isEqualTo(9);
            assertThat(each.unit.deviceTableWord(0x1ff, 0)).as("blocked").isEqualTo(3);
        }
    }

    @Test
    void anyFailureWhileOpeningOrClosingFreesAllThatIsNotCountedAsKept() {
        int n = 1;
        Set<Long> keptByFailures = new HashSet<>();
        for (boolean fired = true; fired; n++) {
            TestPlatform each = new TestPlatform();
            each.failNth.arm(n);
            long kept = 0;
            try {
                AmdIommu iommu = each.open();
                iommu.close();
                kept = iommu.quarantinedFrames();
                if (each.failNth.fired()) {
                    keptByFailures.add(kept);
                } else {
                    assertThat(kept).isZero();
                }
            } catch (IommuException e) {
                assertThat(each.failNth.fired()).isTrue();
                assertThat(e.errno()).isIn(Errno.ENOMEM, Errno.ENODEV, Errno.ETIMEDOUT);
            }
            fired = each.failNth.fired();
            assertThat(each.frames.inUse()).as("failure %d", n).isEqualTo(kept);
            assertThat(each.unit.registers[0x18 / 8] & 1).isZero();
        }
        assertThat(n).isGreaterThan(7);
        // A wait that fails; a look at the register that fails, and is repeated.
        assertThat(keptByFailures).containsExactlyInAnyOrder(0L, 9L);
    }

    @Test
    void whatFirmwareLetsPassStaysInTheEntry() {
        platform.ivrs = table(2, ivhd10(BASE, 2, range(8, 0x1ff), entry8(0x48, 0, 0xd7, 33, 0xa0, 1)));
        AmdIommu iommu = platform.open();
        assertThat(platform.unit.deviceTableWord(0xa0, 1)).isEqualTo(1L << 40);
        assertThat(platform.unit.deviceTableWord(0xa0, 2)).isEqualTo(0xc700_0000_0000_0000L);
        IommuDevice bridge = iommu.probe(platform.function(0, 0, 0x14, 0)).orElseThrow();
        IommuDomain domain = iommu.allocate(DomainType.IDENTITY, bridge);
        domain.attach(bridge);
        assertThat(platform.unit.deviceTableWord(0xa0, 0)).isEqualTo(0x6000_0000_0000_0003L);
        assertThat(platform.unit.deviceTableWord(0xa0, 1)).isEqualTo(1L << 40 | 1);
        assertThat(platform.unit.deviceTableWord(0xa0, 2)).isEqualTo(0xc700_0000_0000_0000L);
        assertThat(bridge.isolatedMsi()).isTrue();
    }

    @Test
    void interruptsAreRemappedOnlyWithTheSouthBridgesApicAndLeave() {
        assertThat(device(platform.open(), 1).isolatedMsi()).isFalse();
        TestPlatform other = new TestPlatform();
        other.ivrs = table(2, ivhd10(BASE, 2, range(8, 0x1ff), entry8(0x48, 0, 0, 33, 0xa0, 1)));
        other.bootOptions = BootOptions.NO_INTERRUPT_REMAPPING;
        assertThat(device(other.open(), 1).isolatedMsi()).isFalse();
    }

    // --- probe ---

    @Test
    void aUnitServesWhatItsBlockNamesButNotItself() {
        Iommu iommu = platform.open();
        assertThat(iommu.probe(platform.function(0, 0, 0, 2))).isEmpty();
        assertThat(iommu.probe(platform.function(0, 2, 0, 0))).isEmpty();
        assertThat(iommu.probe(platform.function(1, 1, 0, 0))).isEmpty();
        IommuDevice device = device(iommu, 1);
        assertThat(device(iommu, 1)).isSameAs(device);
    }

    @Test
    void theNewestKnownTypeOfBlockCounts() {
        platform.ivrs = table(
                3,
                ivhd10(BASE, 2, range(8, 0xff)),
                ivhd(0x11, 40, 0x8c0, BASE, 2, range(8, 0x1ff)),
                ivhd(0x40, 40, 0x8c0, BASE, 2, range(8, 0x2ff)),
                ivhd(0x41, 40, 0x8c0, BASE, 2, range(8, 0x3ff)));
        Iommu iommu = platform.open();
        assertThat(iommu.units()).containsExactly("ivhd0");
        assertThat(iommu.probe(platform.function(0, 2, 0, 0))).isPresent();
        assertThat(iommu.probe(platform.function(0, 3, 0, 0))).isEmpty();
    }

    @Test
    void firmwaresImageOfTheFeaturesCountsWhereFirmwareSaysSoAndTheRegistersOtherwise() {
        // Registers: INVALIDATE_IOMMU_ALL and no dirty tracking; image: the other way round.
        byte[] block = ivhd(0x11, 40, 1L << 52 | 0x80, BASE, 2, range(8, 0x1ff));
        platform.ivrs = table(1, block);
        Iommu image = platform.open();
        assertThat(image.capable(device(image, 1), IommuCapability.DIRTY_TRACKING))
                .isTrue();
        assertThat(platform.commands).doesNotContain("all").hasSizeGreaterThan(0x10000);

        TestPlatform other = new TestPlatform();
        other.ivrs = table(0, block);
        Iommu registers = other.open();
        assertThat(registers.capable(device(registers, 1), IommuCapability.DIRTY_TRACKING))
                .isFalse();
        assertThat(other.commands).containsExactly("all");

        // A capability without EFRSup has no feature registers: what they would read as does not matter.
        TestPlatform old = new TestPlatform();
        old.capabilityHeader &= ~(1 << 27);
        old.open();
        assertThat(old.commands).doesNotContain("all");
    }

    @Test
    void anImageOfZeroIsNoneAndTheRegistersCount() {
        platform.efr |= 1L << 52;
        platform.unit.registers[0x1a0 / 8] = 0x800; // HTRangeIgnore
        platform.ivrs = table(1, ivhd(0x11, 40, 0, BASE, 2, range(8, 0x1ff)));
        Iommu iommu = platform.open();
        IommuDevice device = device(iommu, 1);
        assertThat(platform.commands).containsExactly("all");
        assertThat(iommu.capable(device, IommuCapability.DIRTY_TRACKING)).isTrue();
        assertThat(device.reservedRegions()).hasSize(1);
    }

    @Test
    void capabilitiesAreThoseOfLinux() {
        Iommu iommu = platform.open();
        IommuDevice device = device(iommu, 1);
        assertThat(List.of(IommuCapability.values()).stream().filter(c -> iommu.capable(device, c)))
                .containsExactly(
                        IommuCapability.CACHE_COHERENCY,
                        IommuCapability.PRE_BOOT_PROTECTION,
                        IommuCapability.ENFORCE_CACHE_COHERENCY);
        TestPlatform other = new TestPlatform();
        other.efr |= 1L << 52;
        other.ivrs = table(0, ivhd10(BASE, 2, range(8, 0x1ff)));
        Iommu dirty = other.open();
        assertThat(dirty.capable(device(dirty, 1), IommuCapability.DIRTY_TRACKING))
                .isTrue();
        assertThat(dirty.capable(device(dirty, 1), IommuCapability.PRE_BOOT_PROTECTION))
                .isFalse();
        refuses(Errno.ENODEV, () -> dirty.capable(device, IommuCapability.NOEXEC));
    }

    @Test
    void reservedRegionsAreSortedAndOverlapsOfOneTypeMerged() {
        platform.ivrs = table(
                2,
                ivhd10(BASE, 2, range(8, 0x1ff)),
                ivmd(0x21, 8, 0x100, 0, 0x9000, 0x1000),
                ivmd(0x22, 7, 0x80, 0x100, 0x4000, 0x2000),
                ivmd(0x20, 7, 0, 0, 0x5000, 0x2800),
                ivmd(0x21, 7, 0x101, 0, 0x1000, 0x1000));
        assertThat(device(platform.open(), 1).reservedRegions())
                .containsExactly(
                        new ReservedRegion(0x4000, 0x7fff, ReservedRegion.Type.DIRECT),
                        new ReservedRegion(0x9000, 0x9fff, ReservedRegion.Type.DIRECT),
                        new ReservedRegion(0xfee00000L, 0xfeefffffL, ReservedRegion.Type.MSI),
                        new ReservedRegion(0xfd00000000L, 0xffffffffffL, ReservedRegion.Type.RESERVED));
    }

    // --- attach and detach ---

    @Test
    void attachingWritesTheEntryOfEveryIdAndMakesTheUnitForget() {
        platform.ivrs = table(2, ivhd10(BASE, 2, range(8, 0xff), entry8(0x42, 0x100, 0, 0, 0x1a5, 0)));
        Iommu iommu = platform.open();
        IommuDevice device =
                iommu.probe(platform.function(0, 1, 0, 0), 0x100, 0x110).orElseThrow();
        IommuDomain first = iommu.allocate(DomainType.UNMANAGED, device);
        IommuDomain second = iommu.allocate(DomainType.DMA, device);
        platform.commands.clear();
        assertThat(first.attach(device).attached()).isTrue();
        assertThat(platform.commands).containsExactly("devtab 0100", "devtab 01a5", "devtab 0110");
        for (int id : new int[] {0x100, 0x1a5, 0x110}) {
            assertThat(platform.unit.deviceTableWord(id, 0)).isEqualTo(((AmdDomain) first).entryWord0());
            assertThat(platform.unit.deviceTableWord(id, 1)).isEqualTo(1);
        }
        platform.commands.clear();
        assertThat(first.attach(device).attached()).isTrue();
        assertThat(platform.commands).isEmpty();
        second.attach(device);
        assertThat(platform.commands)
                .containsExactly("devtab 0100", "devtab 01a5", "devtab 0110", "pages 1 7ffffffffffff003");
        refuses(Errno.EBUSY, second::close);
        refuses(Errno.EBUSY, iommu::close);
        refuses(Errno.EINVAL, () -> first.detach(device));
        second.detach(device);
        assertThat(platform.unit.deviceTableWord(0x1a5, 0)).isEqualTo(3);
        assertThat(platform.unit.deviceTableWord(0x1a5, 1)).isZero();
        first.close();
        second.close();
        iommu.close();
        assertThat(platform.frames.inUse()).isZero();
    }

    @Test
    void anEntryIsBlockedWhileItsDomainIdChanges() {
        InterposedMemory memory = new InterposedMemory(1L << 24);
        DeviceTable table = new DeviceTable(memory, new FramePool(0x10_0000, 0x10_0000), 0xff);
        table.set(0x10, 0x6000_0000_0040_0603L, 5, 0);
        memory.stores.clear();

        table.set(0x10, 0x6000_0000_0050_0603L, 6, 0);

        assertThat(memory.stores)
                .containsExactly("100200 = 3", "100208 = 6", "100210 = 0", "100200 = 6000000000500603");
    }

    @Test
    void aClosedDriverGivesNothingOut() {
        Iommu iommu = platform.open();
        IommuDevice device = device(iommu, 1);
        iommu.close();

        refuses(Errno.ENODEV, () -> iommu.probe(platform.function(0, 1, 0, 0)));
        refuses(Errno.ENODEV, () -> iommu.probe(platform.function(0, 1, 0, 1)));
        refuses(Errno.ENODEV, () -> iommu.allocate(DomainType.DMA, device));
        assertThat(platform.frames.inUse()).isZero();
    }

    @Test
    void anIdThatTwoFunctionsShareStaysAliveUntilBothAreDetached() {
        Iommu iommu = platform.open();
        IommuDevice a = iommu.probe(platform.function(0, 1, 0, 0), 0x100, 0x1f8).orElseThrow();
        IommuDevice b = iommu.probe(platform.function(0, 1, 0, 1), 0x101, 0x1f8).orElseThrow();
        IommuDomain domain = iommu.allocate(DomainType.IDENTITY, a);
        domain.attach(a);
        domain.attach(b);
        domain.detach(a);
        assertThat(platform.unit.deviceTableWord(0x100, 0)).isEqualTo(3);
        assertThat(platform.unit.deviceTableWord(0x1f8, 0)).isEqualTo(0x6000_0000_0000_0003L);
        domain.detach(b);
        assertThat(platform.unit.deviceTableWord(0x1f8, 0)).isEqualTo(3);
    }

    @Test
    void anIdThatTwoFunctionsShareStaysAliveWhenTheOtherIsBlockedUntilBothAre() {
        Iommu iommu = platform.open();
        IommuDevice a = iommu.probe(platform.function(0, 1, 0, 0), 0x100, 0x1f8).orElseThrow();
        IommuDevice b = iommu.probe(platform.function(0, 1, 0, 1), 0x101, 0x1f8).orElseThrow();
        IommuDomain domain = iommu.allocate(DomainType.IDENTITY, a);
        IommuDomain blocked = iommu.allocate(DomainType.BLOCKED, a);
        domain.attach(a);
        domain.attach(b);
        blocked.attach(b);
        assertThat(platform.unit.deviceTableWord(0x101, 0)).isEqualTo(3);
        assertThat(platform.unit.deviceTableWord(0x1f8, 0)).isEqualTo(0x6000_0000_0000_0003L);
        assertThat(platform.unit.deviceTableWord(0x1f8, 1)).isEqualTo(((AmdDomain) domain).id());
        blocked.attach(a);
        assertThat(platform.unit.deviceTableWord(0x1f8, 0)).isEqualTo(3);
    }

    @Test
    void anAttachThatFailsLeavesEveryEntryAsItWas() {
        Iommu iommu = platform.open();
        IommuDevice a = iommu.probe(platform.function(0, 1, 0, 0), 0x100, 0x1f8).orElseThrow();
        IommuDevice b = iommu.probe(platform.function(0, 1, 0, 1), 0x101, 0x1f8).orElseThrow();
        IommuDomain old = iommu.allocate(DomainType.UNMANAGED, a);
        IommuDomain next = iommu.allocate(DomainType.IDENTITY, a);
        old.attach(b);
        next.attach(a);
        platform.stuck = true;
        refuses(Errno.ETIMEDOUT, () -> next.attach(b));
        assertThat(platform.unit.deviceTableWord(0x101, 0)).isEqualTo(((AmdDomain) old).entryWord0());
        assertThat(platform.unit.deviceTableWord(0x101, 1)).isEqualTo(((AmdDomain) old).id());
        assertThat(platform.unit.deviceTableWord(0x1f8, 0)).isEqualTo(0x6000_0000_0000_0003L);
        assertThat(platform.unit.deviceTableWord(0x1f8, 1)).isEqualTo(((AmdDomain) next).id());
    }

    @Test
    void aFirstAttachThatFailsLeavesASharedIdToItsOtherUser() {
        Iommu iommu = platform.open();
        IommuDevice a = iommu.probe(platform.function(0, 1, 0, 0), 0x100, 0x1f8).orElseThrow();
        IommuDevice b = iommu.probe(platform.function(0, 1, 0, 1), 0x101, 0x1f8).orElseThrow();
        IommuDomain domain = iommu.allocate(DomainType.IDENTITY, a);
        domain.attach(a);
        platform.stuck = true;
        refuses(Errno.ETIMEDOUT, () -> domain.attach(b));
        assertThat(platform.unit.deviceTableWord(0x101, 0)).isEqualTo(3);
        assertThat(platform.unit.deviceTableWord(0x101, 1)).isZero();
        assertThat(platform.unit.deviceTableWord(0x1f8, 0)).isEqualTo(0x6000_0000_0000_0003L);
    }

    @Test
    void enforcementIsPresentAndAlwaysSucceedsOnPagingDomains() {
        Iommu iommu = platform.open();
        IommuDevice device = device(iommu, 1);
        IommuDomain domain = iommu.allocate(DomainType.DMA, device);
        assertThat(domain.cacheCoherencyEnforcement().orElseThrow().enforce()).isTrue();
        assertThat(iommu.allocate(DomainType.IDENTITY, device).cacheCoherencyEnforcement())
                .isEmpty();
    }

    @Test
    void domainIdsRunOut() {
        AmdIommu iommu = platform.open();
        IommuDevice device = device(iommu, 1);
        for (int i = 1; i < 0x10000; i++) {
            iommu.allocate(DomainType.IDENTITY, device);
        }
        refuses(Errno.ENOSPC, () -> iommu.allocate(DomainType.IDENTITY, device));
        iommu.allocate(DomainType.BLOCKED, device);
        assertThat(iommu.state().domainIds().inUse()).isEqualTo(0xffff);
    }

    // --- sync ---

    @Test
    void syncForgetsTheRangeAndMapsAreAnnouncedOnlyWhereTheUnitCachesAbsence() {
        Iommu iommu = platform.open();
        IommuDevice device = device(iommu, 1);
        IommuDomain domain = iommu.allocate(DomainType.DMA, device);
        domain.attach(device);
        platform.commands.clear();
        domain.map(0x10_0000, 0, K4, 16, Prot.READ);
        domain.syncMap(0x10_0000, 16 * K4);
        assertThat(platform.commands).isEmpty();
        IotlbGather gather = new IotlbGather();
        domain.unmap(0x10_0000, 16 * K4, gather);
        domain.sync(gather);
        domain.sync(gather);
        assertThat(platform.commands).containsExactly("pages 1 107001");

        TestPlatform caching = new TestPlatform();
        caching.capabilityHeader |= 1 << 26;
        Iommu other = caching.open();
        IommuDevice its = other.probe(caching.function(0, 1, 0, 0)).orElseThrow();
        IommuDomain announced = other.allocate(DomainType.DMA, its);
        announced.syncMap(0, K4);
        announced.attach(its);
        caching.commands.clear();
        announced.syncMap(0x3000, K4);
        assertThat(caching.commands).containsExactly("pages 1 3002");
    }

    @Test
    void anInvalidationThatNeverCompletesQuarantinesFramesAndBreaksTheUnit() {
        AmdIommu iommu = platform.open();
        IommuDevice device = device(iommu, 1);
        IommuDevice other = iommu.probe(platform.function(0, 1, 0, 1)).orElseThrow();
        IommuDomain domain = iommu.allocate(DomainType.DMA, device);
        domain.attach(device);
        domain.map(0, 0, K4, 512, Prot.READ);
        IotlbGather gather = new IotlbGather();
        domain.unmap(0, 512 * K4, gather);
        platform.stuck = true;
        refuses(Errno.ETIMEDOUT, () -> domain.sync(gather));
        assertThat(gather.isEmpty()).isTrue();
        assertThat(iommu.quarantinedFrames()).isEqualTo(1);
        platform.stuck = false;
        domain.map(0, 0, K4, 1, Prot.READ);
        domain.unmap(0, K4, gather);
        refuses(Errno.EIO, () -> domain.sync(gather));
        refuses(Errno.EIO, () -> domain.attach(other));
        refuses(Errno.EIO, () -> domain.map(1L << 40, 0, K4, 1, Prot.READ));
        refuses(Errno.EIO, () -> domain.detach(device));
        domain.close();
        // Root, one level-2 table and one level-1 table join the first; the id is not used again.
        assertThat(iommu.quarantinedFrames()).isEqualTo(4);
        assertThat(iommu.state().domainIds().inUse()).isEqualTo(1);
        iommu.close();
        assertThat(platform.frames.inUse()).isEqualTo(4);
    }

    @Test
    void everyFailureWhileWorkingLeavesTheOldStateAndNothingElse() {
        int n = 1;
        for (; ; n++) {
            TestPlatform each = new TestPlatform();
            AmdIommu iommu = each.open();
            IommuDevice device = iommu.probe(each.function(0, 1, 0, 0)).orElseThrow();
            HostDomain old = (HostDomain) iommu.allocate(DomainType.DMA, device);
            old.attach(device);
            old.map(0x1000, 0x5000, K4, 1, Prot.READ);
            old.map(0x7fff_f000L, 0x6000, K4, 1, Prot.READ);
            long frames = each.frames.inUse();
            long root = old.table().root();
            each.failNth.arm(n);
            IommuDomain next = null;
            boolean failed = false;
            try {
                old.map(0x40_0000, 0, K4, 2048, Prot.READ);
                old.map(1L << 39, 0, K4, 1, Prot.READ);
                next = iommu.allocate(DomainType.UNMANAGED, device);
                next.attach(device);
            } catch (IommuException e) {
                failed = true;
                assertThat(e.errno()).isIn(Errno.ENOMEM, Errno.ETIMEDOUT);
            }
            assertThat(failed).as("failure %d", n).isEqualTo(each.failNth.fired());
            each.failNth.disarm();
            assertThat(old.translate(0x1000)).isEqualTo(0x5000);
            assertThat(old.translate(0x7fff_f000L)).isEqualTo(0x6000);
            if (!failed) {
                break;
            }
            assertThat(each.unit.deviceTableWord(0x100, 0)).isEqualTo(old.entryWord0());
            assertThat(each.unit.deviceTableWord(0x100, 1)).isEqualTo(old.id());
            assertThat(old.translate(0xbf_f000) == IommuDomain.UNMAPPED)
                    .isEqualTo(old.translate(0x40_0000) == IommuDomain.UNMAPPED);
            if (old.translate(0x40_0000) == IommuDomain.UNMAPPED) {
                assertThat(each.frames.inUse()).isEqualTo(frames);
                assertThat(old.table().root()).isEqualTo(root);
            }
            long kept = each.frames.inUse();
            boolean broken = false;
            try {
                old.detach(device);
            } catch (IommuException e) {
                assertThat(e.errno()).isEqualTo(Errno.EIO);
                broken = true;
            }
            if (next != null) {
                next.close();
            }
            old.close();
            iommu.close();
            assertThat(each.frames.inUse()).isEqualTo(iommu.quarantinedFrames());
            assertThat(each.frames.inUse() == 0).isEqualTo(!broken);
            assertThat(kept).isPositive();
        }
        assertThat(n).as("failures injected").isGreaterThan(9);
    }

    @Test
    void refusedRequestsAreTakenOnceAndAnOverflowStartsTheLogAgain() {
        AmdIommu iommu = platform.open();
        long log = platform.unit.registers[2] & 0x000f_ffff_ffff_f000L;
        platform.memory.store(log, 0x2020_0001_0000_0100L);
        platform.memory.store(log + 8, 0x1234_5000L);
        // With GN the domain's field and bits 19:16 are the PASID.
        platform.memory.store(log + 16, 0x2011_0abc_0001_0108L);
        platform.memory.store(log + 24, 0x7000L);
        // An illegal command is no request.
        platform.memory.store(log + 32, 0x5000_0000_0000_0000L);
        // Where memory failed, not what was asked for, is told by a hardware error.
        platform.memory.store(log + 48, 0x4220_0001_0000_0100L);
        platform.memory.store(log + 56, 0x9_0000L);
        // A posted write of interrupts: type 5, and RW is not there.
        platform.memory.store(log + 64, 0x8a00_0000_0000_0100L);
        platform.memory.store(log + 72, 0xffff_fffd_f800_0000L);
        platform.unit.registers[0x2018 / 8] = 80;
        platform.unit.registers[0x2020 / 8] = 1;
        assertThat(iommu.takeFaults())
                .containsExactly(
                        new DmaFault(
                                "ivhd0",
                                PciAddress.of(0, 0x100),
                                DmaFault.NO_PASID,
                                0x1234_5000L,
                                true,
                                2,
                                "IO_PAGE_FAULT device 0000:01:00.0 domain 0x0001 address 0x12345000 write flags RW"),
                        new DmaFault(
                                "ivhd0",
                                PciAddress.of(0, 0x108),
                                0x10abc,
                                0x7000,
                                false,
                                2,
                                "IO_PAGE_FAULT device 0000:01:01.0 pasid 0x10abc address 0x7000 read flags GN|PR"),
                        new DmaFault(
                                "ivhd0",
                                PciAddress.of(0, 0x100),
                                DmaFault.NO_PASID,
                                0xffff_fffd_f800_0000L,
                                true,
                                8,
                                "INVALID_DEVICE_REQUEST device 0000:01:00.0 address 0xfffffffdf8000000: posted write of"
                                        + " interrupts, but IntCtl is 0"));
        assertThat(iommu.faultOverflows()).isOne();
        assertThat(platform.unit.registers[0x2010 / 8]).isZero();
        assertThat(platform.unit.registers[0x18 / 8] & 4).as("logging again").isNotZero();
        assertThat(iommu.takeFaults()).isEmpty();
    }

    @Test
    void anIllegalCommandIsReportedByTheRefusalOfWhatItStopped() {
        AmdIommu iommu = platform.open();
        IommuDevice device = device(iommu, 1);
        IommuDomain domain = iommu.allocate(DomainType.DMA, device);
        long log = platform.unit.registers[2] & 0x000f_ffff_ffff_f000L;
        platform.memory.store(log, 0x5000_0000_0000_0000L);
        platform.memory.store(log + 8, 0xabc0L);
        platform.unit.registers[0x2018 / 8] = 16;
        platform.stuck = true;
        assertThatThrownBy(() -> domain.attach(device))
                .isInstanceOf(IommuException.class)
                .hasMessageContaining("ivhd0 did not complete an invalidation")
                .hasMessageContaining("ILLEGAL_COMMAND_ERROR command at 0xabc0");
    }

    // --- describe ---

    @Test
    void describingNeedsNoHardware() {
        platform.ivrs = table(
                3,
                ivhd10(BASE, 2, range(8, 0x1ff)),
                ivhd(
                        0x11,
                        40,
                        0x8c0,
                        BASE,
                        2,
                        range(8, 0xff),
                        entry8(0x43, 0x100, 0, 0, 0xa5, 0),
                        new byte[] {4, (byte) 0xff, 1, 0},
                        entry8(0x48, 0, 0, 33, 0xa0, 1),
                        entry8(0x48, 0, 0, 0, 0xa0, 2)));
        platform.ivrs[9] ^= 1;
        RegisterValues registers = (unit, base, name) ->
                base.getAsLong() == BASE && name.equals("EFR") ? OptionalLong.of(0x8c1) : OptionalLong.empty();
        HostDescription host = new AmdVendor()
                .describe(
                        platform::firmware,
                        () -> List.of(
                                platform.function(0, 0, 0, 2), platform.southBridge(), platform.function(0, 1, 0, 0)),
                        registers,
                        LinuxRelease.NEWEST);
        assertThat(host.vendor()).isEqualTo("amd");
        UnitDescription unit = host.units().get(0);
        assertThat(host.units()).hasSize(1);
        assertThat(unit.id()).isEqualTo("ivhd0");
        assertThat(unit.registerBase()).hasValue(BASE);
        assertThat(unit.includeAll()).isEqualTo(Answer.NO);
        assertThat(unit.scope())
                .map(Object::toString)
                .containsExactly(
                        "0000:00:01.0 to 0000:00:1f.7",
                        "0000:01:00.0 to 0000:01:1f.7 as 0000:00:14.5",
                        "IOAPIC 33 at 0000:00:14.0",
                        "HPET 0 at 0000:00:14.0");
        assertThat(unit.abilities().blocksNoSnoop()).isEqualTo(Answer.YES);
        assertThat(unit.abilities().interruptRemapping()).isEqualTo(Answer.YES);
        assertThat(unit.fields()).containsEntry("EFR.HATS", 2L).containsEntry("EFR.PreFSup", 0L);
        assertThat(unit.fields()).containsEntry("EFR2.HTRangeIgnore", 0L);
        assertThat(host.devices()).hasSize(3);
        assertThat(host.devices().get(0).unit()).isNull();
        assertThat(host.devices().get(2).unit()).isEqualTo("ivhd0");
        assertThat(host.devices().get(2).enforceCacheCoherency()).isEqualTo(Answer.YES);
        assertThat(host.warnings()).hasSize(2);
        assertThat(host.warnings().get(0)).contains("checksum");
        assertThat(host.warnings().get(1)).contains("0x8c0", "0x8c1");
    }

    /**
     * GTSup is bit 4 of EFR and GIoSup bit 48; units that lack one of them keep v1 tables, whatever the command line
     * says.
     */
    @ParameterizedTest
    @CsvSource({"0x8d0, false", "0x10000000008c0, false", "0x10000000008d0, true", "unknown, true"})
    void thePromiseIsFalseOnlyWhereUnitsCanHaveV2Tables(String efr, boolean possible) {
        platform.ivrs = table(3, ivhd10(BASE, 2, range(8, 0x1ff)));
        HostDescription host = new AmdVendor()
                .describe(
                        platform::firmware,
                        List::of,
                        (unit, base, name) -> name.equals("EFR") && !efr.equals("unknown")
                                ? OptionalLong.of(Long.decode(efr))
                                : OptionalLong.empty(),
                        LinuxRelease.NEWEST);
        assertThat(host.parameters().stream()
                        .filter(parameter -> parameter.effect() == KernelParameter.Effect.FALSE_PROMISE))
                .hasSize(possible ? 1 : 0)
                .allSatisfy(parameter -> assertThat(parameter.why().text())
                        .contains("no FC bit", efr.equals("unknown") ? "EFR is not known" : "domains get v2 tables,"));
    }

    @Test
    void anImageOfZeroDescribesNothing() {
        platform.ivrs = table(1, ivhd(0x11, 40, 0, BASE, 2, range(8, 0x1ff), entry8(0x48, 0, 0, 33, 0xa0, 1)));
        UnitDescription read = describe((unit, base, name) -> OptionalLong.of(name.equals("EFR") ? 0x8c0 : 0x800));
        assertThat(read.fields()).containsEntry("EFR.HATS", 2L).containsEntry("EFR.IASup", 1L);
        assertThat(read.fields()).containsEntry("EFR2.HTRangeIgnore", 1L);
        UnitDescription unread = describe(RegisterValues.UNKNOWN);
        assertThat(unread.fields()).isEmpty();
        assertThat(unread.abilities().dirtyTracking()).isEqualTo(Answer.UNKNOWN);
    }

    private UnitDescription describe(RegisterValues registers) {
        HostDescription host = new AmdVendor().describe(platform::firmware, List::of, registers, LinuxRelease.NEWEST);
        assertThat(host.warnings()).isEmpty();
        return host.units().get(0);
    }

    @Test
    void describingRefusesWhatItCannotRead() {
        AmdVendor vendor = new AmdVendor();
        assertThatThrownBy(() -> vendor.describe(
                        signature -> Optional.empty(), List::of, RegisterValues.UNKNOWN, LinuxRelease.NEWEST))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> vendor.describe(
                        signature -> Optional.of(table(0, new byte[] {0x20, 0, 8, 0, 0, 0, 0, 0})),
                        List::of,
                        RegisterValues.UNKNOWN,
                        LinuxRelease.NEWEST))
                .isInstanceOf(MalformedTableException.class)
                .hasMessage("IVRS at offset 0x30: a block of type 20h has 8 bytes, expected 32 to the 8 left");
    }
}
