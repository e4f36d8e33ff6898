// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.iommu4j.DirtyBitmap;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.LinuxRelease;
import org.iommu4j.Prot;
import org.iommu4j.capability.DirtyTracking;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.sim.amdvi.AmdViUnitProvider;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.pcie.RequestStatus;
import org.iommu4j.spi.VendorContext;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Guest tables and the record of written pages on the simulated unit, which was written apart from the driver. */
class SiliconGuestTest {
    private static final long K4 = 4096;
    private static final long IOVA = 0x1234_5000L;
    private static final long VALUE = 0x1122_3344_5566_7788L;

    /** HATS 2, HESup and IASup of the built-in unit; PPRSup, GTSup, GLXSup 2, PASmax 15, GIoSup, HASup, HDSup. */
    private static final long EFR =
            AmdViUnitProvider.EFR_6_LEVEL | 1 << 1 | 1 << 4 | 2 << 14 | 15L << 32 | 3L << 48 | 1L << 52;

    private Machine machine;
    private InterposedMemory memory;
    private AmdIommu iommu;
    private IommuDevice device;
    private Endpoint endpoint;
    private long target;

    private void open(long efr) {
        open(efr, LinuxRelease.NEWEST);
    }

    private void open(long efr, LinuxRelease release) {
        machine = MachineFactory.load().create(AmdViUnitProvider.machine("amd-guest", efr, 0));
        VendorContext context = machine.vendorContext(release);
        memory = new InterposedMemory(context.memory());
        iommu = (AmdIommu) new AmdVendor()
                .open(new VendorContext(
                        memory,
                        context.frames(),
                        context.registers(),
                        context.waiter(),
                        context.firmware(),
                        context.topology(),
                        context.bootOptions().and("iommu4j.amd=pasids"),
                        context.release()));
        PciFunction function = machine.topology().function(BuiltInTopology.GPU).orElseThrow();
        function.config().write(4, 2, 6);
        int control = function.config().findCapability(ConfigSpace.CAPABILITY_PCI_EXPRESS) + 8;
        function.config().write(control, 2, function.config().read(control, 2) | 0x0800);
        device = iommu.probe(function).orElseThrow();
        endpoint = machine.endpoint(function.address());
        target = machine.userFrames().allocate(0);
    }

    private IommuDomain guest() {
        return iommu.allocate(DomainType.UNMANAGED, device, Set.of(DomainFlag.PASID));
    }

    @ParameterizedTest
    @ValueSource(ints = {4, 5})
    void guestTablesAreWalkedAsTheDriverMeansThem(int levels) {
        open(EFR | (levels - 4L) << 12);
        IommuDomain domain = guest();
        domain.attach(device);
        IotlbGather gather = new IotlbGather();
        machine.memory(0).store(target, VALUE);
        long last = domain.apertureEnd() - K4 + 1;
        domain.map(last, target, K4, 1, Prot.READ);
        domain.syncMap(last, K4);
        assertThat(endpoint.read(last, false)).isEqualTo(VALUE);
        assertThat(endpoint.write(last, 1, false)).as("read-only").isFalse();
        for (int shift : new int[] {12, 21, 30}) {
            long size = 1L << shift;
            domain.map(size, target & -size, size, 1, Prot.READ_WRITE);
            domain.syncMap(size, size);
            long iova = size + (target & (size - 1));
            assertThat(endpoint.read(iova, false)).as("size 2^%d", shift).isEqualTo(VALUE);
            assertThat(endpoint.write(iova, VALUE, false)).isTrue();
            assertThat(domain.unmap(size, size, gather)).isEqualTo(size);
            assertThat(endpoint.write(iova, VALUE, false))
                    .as("stale until sync")
                    .isTrue();
            domain.sync(gather);
            endpoint.read(iova, false);
            assertThat(endpoint.lastStatus()).as("size 2^%d", shift).isEqualTo(RequestStatus.TRANSLATION_FAULT);
        }
        domain.detach(device);
        endpoint.read(last, false);
        assertThat(endpoint.lastStatus()).isEqualTo(RequestStatus.TRANSLATION_FAULT);
        domain.close();
        iommu.close();
        assertThat(machine.frames().inUse()).isZero();
    }

    /** Until 6.16 the driver gives the top bit out; without a PASID such an address is translated. */
    @ParameterizedTest
    @ValueSource(ints = {4, 5})
    void theWholeApertureIsReachedWithoutPasidThoughItsTopBitIsUsed(int levels) {
        open(EFR | (levels - 4L) << 12, new LinuxRelease(6, 16));
        IommuDomain domain = guest();
        domain.attach(device);
        long top = 1L << (levels == 4 ? 47 : 56);
        assertThat(domain.apertureEnd()).isEqualTo(2 * top - 1);
        machine.memory(0).store(target, VALUE);
        for (long iova : new long[] {top - K4, top, 2 * top - K4}) {
            domain.map(iova, target, K4, 1, Prot.READ);
            assertThat(endpoint.read(iova, false)).as("iova 0x%x", iova).isEqualTo(VALUE);
        }
    }

    @Test
    void aGuestDomainSaysThatItBlocksNoSnoopAndTheCpuReadsAStaleLine() {
        open(EFR);
        IommuDomain guest = guest();
        guest.attach(device);
        assertThat(guest.cacheCoherencyEnforcement().orElseThrow().enforce()).isTrue();
        guest.map(IOVA, target, K4, 1, Prot.READ_WRITE | Prot.CACHE);
        guest.syncMap(IOVA, K4);
        machine.memory(0).store(target, 1);
        assertThat(endpoint.read(IOVA, true)).as("past the dirty line").isNotEqualTo(1);
        assertThat(endpoint.write(IOVA, VALUE, true)).isTrue();
        assertThat(machine.memory(0).load(target))
                .as("what the CPU still holds")
                .isEqualTo(1);

        // The same device, request and answer with host tables: blocked in truth.
        IommuDomain host = iommu.allocate(DomainType.UNMANAGED, device);
        assertThat(host.cacheCoherencyEnforcement().orElseThrow().enforce()).isTrue();
        host.map(IOVA, target, K4, 1, Prot.READ_WRITE | Prot.CACHE);
        host.attach(device);
        machine.memory(0).store(target, 2);
        assertThat(endpoint.read(IOVA, true)).isEqualTo(2);
        assertThat(endpoint.write(IOVA, VALUE, true)).isTrue();
        assertThat(machine.memory(0).load(target)).isEqualTo(VALUE);
    }

    @Test
    void aDeviceMovesBetweenEveryKindOfDomain() {
        open(EFR);
        long frames = machine.frames().inUse();
        long other = machine.userFrames().allocate(0);
        machine.memory(0).store(target, 1);
        machine.memory(0).store(other, 2);
        IommuDomain host = iommu.allocate(DomainType.UNMANAGED, device);
        IommuDomain first = guest();
        IommuDomain second = guest();
        IommuDomain identity = iommu.allocate(DomainType.IDENTITY, device);
        IommuDomain blocked = iommu.allocate(DomainType.BLOCKED, device);
        host.map(IOVA, target, K4, 1, Prot.READ);
        first.map(IOVA, other, K4, 1, Prot.READ);
        second.map(IOVA, target, K4, 1, Prot.READ);
        IommuDomain[] moves = {first, second, host, first, identity, second, blocked, first, host};
        long[] expected = {2, 1, 1, 2, 0, 1, 0, 2, 1};
        for (int i = 0; i < moves.length; i++) {
            assertThat(moves[i].attach(device).attached()).isTrue();
            if (expected[i] != 0) {
                assertThat(endpoint.read(IOVA, false)).as("move %d", i).isEqualTo(expected[i]);
            } else if (moves[i] == identity) {
                assertThat(endpoint.read(other, false)).isEqualTo(2);
            } else {
                endpoint.read(IOVA, false);
                assertThat(endpoint.lastStatus()).isEqualTo(RequestStatus.TRANSLATION_FAULT);
            }
        }
        host.detach(device);
        for (IommuDomain domain : new IommuDomain[] {host, first, second, identity, blocked}) {
            domain.close();
        }
        assertThat(machine.frames().inUse()).isEqualTo(frames);
        assertThat(iommu.state().domainIds().inUse()).isZero();
    }

    @Test
    void whatADeviceWritesIsRecordedAndWhatItReadsIsNot() {
        open(EFR);
        IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device, Set.of(DomainFlag.DIRTY_TRACKING));
        domain.attach(device);
        // One page of eight slots, and one of 4 KiB.
        long large = machine.userFrames().allocate(3);
        domain.map(0x10_0000, large, 1L << 15, 1, Prot.READ_WRITE);
        domain.map(0x20_0000, target, K4, 1, Prot.READ_WRITE);
        DirtyTracking tracking = domain.dirtyTracking().orElseThrow();
        assertThat(endpoint.write(0x10_0000, 1, false)).as("before recording").isTrue();
        tracking.setDirtyTracking(true);
        DirtyBitmap bitmap = new DirtyBitmap(0x10_0000, K4, 0x101);
        tracking.readAndClearDirty(bitmap, true);
        assertThat(bitmap.count()).isZero();
        endpoint.read(0x20_0000, false);
        assertThat(endpoint.write(0x10_5000, 1, false)).isTrue();
        tracking.readAndClearDirty(bitmap, true);
        assertThat(bitmap.count()).isEqualTo(8);
        assertThat(bitmap.isMarked(0x20_0000)).isFalse();
        bitmap.clear();
        tracking.readAndClearDirty(bitmap, true);
        assertThat(bitmap.count()).isZero();
        // Written again: the unit was made to forget that the page was dirty.
        assertThat(endpoint.write(0x10_5000, 2, false)).isTrue();
        assertThat(endpoint.write(0x20_0000, 2, false)).isTrue();
        tracking.readAndClearDirty(bitmap, true);
        assertThat(bitmap.count()).isEqualTo(9);
    }

    /** Whatever comes between the stores of a device table entry and what follows them. */
    @ParameterizedTest
    @EnumSource(
            value = DomainType.class,
            names = {"UNMANAGED", "IDENTITY", "BLOCKED"})
    void aPageOfGuestTablesThatIsGivenUpWhileItsDeviceMovesAwayIsGoneAfterSync(DomainType next) {
        open(EFR);
        IommuDomain old = guest();
        old.attach(device);
        old.map(IOVA, target, K4, 1, Prot.READ_WRITE);
        old.syncMap(IOVA, K4);
        machine.memory(0).store(target, VALUE);
        assertThat(endpoint.read(IOVA, false)).isEqualTo(VALUE);
        long entry = (machine.units().get(0).readRegister64(0) & 0x000f_ffff_ffff_f000L)
                + endpoint.address().requesterId() * 32L;
        List<RequestStatus> seen = new ArrayList<>();
        memory.spoiling = (address, value) -> {
            if (address == entry && seen.isEmpty()) {
                IotlbGather gather = new IotlbGather();
                assertThat(old.unmap(IOVA, K4, gather)).isEqualTo(K4);
                old.sync(gather);
                endpoint.read(IOVA, false);
                seen.add(endpoint.lastStatus());
            }
            return value;
        };

        assertThat(iommu.allocate(next, device).attach(device).attached()).isTrue();

        assertThat(seen).containsExactly(RequestStatus.TRANSLATION_FAULT);
    }
}
