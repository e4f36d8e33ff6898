// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.Set;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.iommu4j.DirtyBitmap;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.LinuxRelease;
import org.iommu4j.Prot;
import org.iommu4j.spi.BootOptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Domains of either format over two hand-made units: which unit forgets what, and what becomes of the frames. */
class PagingDomainTest {
    private static final long K4 = 4096;

    private final TestPlatform platform = new TestPlatform().withSecondUnit();
    private final IotlbGather gather = new IotlbGather();

    PagingDomainTest() {
        // IASup, PPRSup, GTSup, HATS 2, GLXSup 2, PASmax 15, GIoSup, HASup, HDSup.
        platform.efr = 0x8c0 | 1 << 1 | 1 << 4 | 2 << 14 | 15L << 32 | 1L << 48 | 1L << 49 | 1L << 52;
    }

    private static void refuses(Errno errno, ThrowingCallable call) {
        assertThatThrownBy(call)
                .isInstanceOfSatisfying(
                        IommuException.class, e -> assertThat(e.errno()).isEqualTo(errno));
    }

    /** A domain with a device behind each unit. */
    private final class Shared {
        final AmdIommu iommu = platform.open();
        final IommuDevice first =
                iommu.probe(platform.expressFunction(1, 0, 16)).orElseThrow();
        final IommuDevice second =
                iommu.probe(platform.expressFunction(2, 0, 16)).orElseThrow();
        final PagingDomain domain;

        Shared(Set<DomainFlag> flags) {
            domain = (PagingDomain) iommu.allocate(DomainType.UNMANAGED, first, flags);
            domain.attach(first);
            domain.attach(second);
            domain.map(0x4000, 0x8000, K4, 1, Prot.READ);
            platform.unit.commands.clear();
            platform.second.commands.clear();
        }

        void unmapAndSync() {
            domain.unmap(0x4000, K4, gather);
            domain.sync(gather);
        }
    }

    @Test
    void hostPagesAreForgottenByEachUnitAndTheDevicesBehindIt() {
        Shared shared = new Shared(Set.of());
        shared.unmapAndSync();
        assertThat(platform.unit.commands).containsExactly("pages 1 4000", "iotlb 10005000100 4000");
        assertThat(platform.second.commands).containsExactly("pages 1 4000", "iotlb 20005000200 4000");
    }

    @Test
    void guestPagesAreForgottenByEachUnitForTheDevicesBehindIt() {
        Shared shared = new Shared(Set.of(DomainFlag.PASID));
        shared.unmapAndSync();
        assertThat(platform.unit.commands).containsExactly("guest 2/0 4004", "iotlb 10005000100 4000");
        assertThat(platform.second.commands).containsExactly("guest 3/0 4004", "iotlb 20005000200 4000");
    }

    @Test
    void aUnitWithoutUsesIsNotAsked() {
        Shared shared = new Shared(Set.of());
        shared.domain.detach(shared.second);
        platform.second.commands.clear();
        shared.unmapAndSync();
        assertThat(platform.unit.commands).isNotEmpty();
        assertThat(platform.second.commands).isEmpty();
    }

    @Test
    void aUnitThatDoesNotAnswerKeepsNoOtherFromForgetting() {
        Shared shared = new Shared(Set.of());
        platform.unit.halted = true;
        refuses(Errno.ETIMEDOUT, shared::unmapAndSync);
        assertThat(platform.second.commands).containsExactly("pages 1 4000", "iotlb 20005000200 4000");
    }

    @Test
    void anAnnouncementThatIsNotHeardIsAFailure() {
        platform.capabilityHeader |= 1 << 26; // NpCache
        Shared shared = new Shared(Set.of());
        shared.domain.syncMap(0x4000, 0);
        assertThat(platform.unit.commands).as("nothing was mapped").isEmpty();
        platform.stuck = true;
        refuses(Errno.ETIMEDOUT, () -> shared.domain.syncMap(0x4000, K4));
    }

    @Test
    void clearingTheRecordOfWrittenPagesFailsWhenAUnitDoesNotForget() {
        Shared shared = new Shared(Set.of(DomainFlag.DIRTY_TRACKING));
        HostDomain domain = (HostDomain) shared.domain;
        domain.setDirtyTracking(true);
        long slot = domain.table().root();
        for (int level = 3; level > 1; level--) {
            slot = platform.memory.load(slot) & 0x000f_ffff_ffff_f000L;
        }
        platform.memory.store(slot + 4 * 8, platform.memory.load(slot + 4 * 8) | 1 << 6);
        platform.stuck = true;
        DirtyBitmap bitmap = new DirtyBitmap(0x4000, K4, 1);
        refuses(Errno.ETIMEDOUT, () -> domain.readAndClearDirty(bitmap, true));
        assertThat(bitmap.isMarked(0x4000)).isTrue();
    }

    @Test
    void aChangeOfTheEntryIsForgottenByEachUnitAndTheDevicesBehindIt() {
        Shared shared = new Shared(Set.of(DomainFlag.DIRTY_TRACKING));
        shared.domain.dirtyTracking().orElseThrow().setDirtyTracking(true);
        assertThat(platform.unit.commands)
                .containsExactly("devtab 0100", "pages 1 7ffffffffffff003", "iotlb 10005000100 7ffffffffffff001");
        assertThat(platform.second.commands)
                .containsExactly("devtab 0200", "pages 1 7ffffffffffff003", "iotlb 20005000200 7ffffffffffff001");
    }

    @Test
    void aTableThatIsTallEnoughDoesNotGrow() {
        Shared shared = new Shared(Set.of());
        int levels = shared.domain.table().levels();
        long frames = platform.frames.inUse();
        shared.domain.grow(levels);
        shared.domain.grow(levels - 1);
        assertThat(platform.unit.commands).isEmpty();
        assertThat(shared.domain.table().levels()).isEqualTo(levels);
        assertThat(platform.frames.inUse()).isEqualTo(frames);
    }

    @Test
    void aHostDomainIsRefusedToADeviceWithOnePasid() {
        Shared shared = new Shared(Set.of(DomainFlag.PASID));
        shared.domain.pasidAttachment().orElseThrow().attach(shared.first, 5);
        IommuDomain host = shared.iommu.allocate(DomainType.UNMANAGED, shared.first);
        assertThat(host.attach(shared.first).reason())
                .isEqualTo("0000:01:00.0 has PASIDs attached, which do not work above host tables:"
                        + " [0000:01:00.0 with PASID 5]");
    }

    @Test
    void guestTablesOfAReleaseWithoutPasidsTakeNone() {
        platform.release = LinuxRelease.named("6.1");
        platform.bootOptions = new BootOptions("amd_iommu=pgtbl_v2 iommu4j.amd=pasids");
        AmdIommu iommu = platform.open();
        IommuDevice device = iommu.probe(platform.expressFunction(1, 0, 16)).orElseThrow();
        IommuDomain domain = iommu.allocate(DomainType.DMA, device);
        assertThat(domain.format()).isEqualTo("amd-guest-v2");
        assertThat(domain.pasidAttachment()).isEmpty();
    }

    // --- a gather without room ---

    @Test
    void roomInAGatherIsMadeOnceEverythingIsForgottenAndItsRangeStays() {
        Shared shared = new Shared(Set.of());
        long frames = platform.frames.inUse();
        gather.addRange(0x4000, 0x4fff);
        gather.addFrame(shared.domain.table().frames().take(), 0);
        shared.domain.makeRoom(gather);
        assertThat(platform.unit.commands).first().isEqualTo("pages 1 7ffffffff003");
        assertThat(platform.frames.inUse()).isEqualTo(frames);
        assertThat(gather.frameCount()).isZero();
        assertThat(List.of(gather.start(), gather.end())).containsExactly(0x4000L, 0x4fffL);
        gather.reset();
        gather.addFrame(shared.domain.table().frames().take(), 0);
        shared.domain.makeRoom(gather);
        assertThat(gather.hasRange()).isFalse();
    }

    @Test
    void aTableOfSeveralFramesIsFreedOrCountedAsAWhole() {
        Shared shared = new Shared(Set.of());
        long frames = platform.frames.inUse();
        gather.addFrame(platform.frames.allocate(4), 4);
        shared.domain.makeRoom(gather);
        assertThat(platform.frames.inUse()).isEqualTo(frames);
        gather.addFrame(platform.frames.allocate(4), 4);
        platform.second.halted = true;
        shared.domain.makeRoom(gather);
        assertThat(shared.iommu.quarantinedFrames()).isEqualTo(16);
    }

    @Test
    void framesOfAGatherThatAUnitDidNotForgetAreKept() {
        Shared shared = new Shared(Set.of());
        long frames = platform.frames.inUse();
        gather.addFrame(shared.domain.table().frames().take(), 0);
        platform.second.halted = true;
        shared.domain.makeRoom(gather);
        assertThat(gather.isEmpty()).isTrue();
        assertThat(platform.frames.inUse()).isEqualTo(frames + 1);
        assertThat(shared.iommu.quarantinedFrames()).isEqualTo(1);
    }

    // --- closed ---

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aClosedDomainRefusesEverything(boolean guest) {
        Shared shared = new Shared(Set.of(guest ? DomainFlag.PASID : DomainFlag.DIRTY_TRACKING));
        PagingDomain domain = shared.domain;
        domain.unmap(0x4000, K4, gather);
        domain.sync(gather);
        domain.detach(shared.first);
        domain.detach(shared.second);
        domain.close();
        platform.unit.commands.clear();

        refuses(Errno.ENODEV, () -> domain.map(0, 0, K4, 1, Prot.READ));
        refuses(Errno.ENODEV, () -> domain.syncMap(0, K4));
        refuses(Errno.ENODEV, () -> domain.unmap(0, K4, gather));
        refuses(Errno.ENODEV, () -> domain.sync(gather));
        refuses(Errno.ENODEV, () -> domain.translate(0));
        refuses(Errno.ENODEV, domain.cacheCoherencyEnforcement().orElseThrow()::enforce);
        domain.dirtyTracking().ifPresent(tracking -> {
            refuses(Errno.ENODEV, () -> tracking.setDirtyTracking(false));
            refuses(Errno.ENODEV, () -> tracking.readAndClearDirty(new DirtyBitmap(0, K4, 1), true));
        });
        assertThat(platform.unit.commands).isEmpty();
    }
}
