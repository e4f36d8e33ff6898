// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.iommu4j.DomainType;
import org.iommu4j.Iommu;
import org.iommu4j.IommuCapability;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.LinuxRelease;
import org.iommu4j.Prot;
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
    @CsvSource({"6.6, false", "6.7, true"})
    void writtenPagesAreRecordedSince67(String name, boolean capable) {
        platform.efr |= 1L << 52;
        Iommu iommu = open(LinuxRelease.named(name));
        assertThat(iommu.capable(device(iommu), IommuCapability.DIRTY_TRACKING)).isEqualTo(capable);
    }
}
