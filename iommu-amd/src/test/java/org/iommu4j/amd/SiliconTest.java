// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import org.iommu4j.DomainType;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.LinuxRelease;
import org.iommu4j.Prot;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.sim.amdvi.AmdViUnitProvider;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The driver on the simulated unit, which was written from the manual and not from the driver. */
class SiliconTest {
    private static final long K4 = 4096;
    private static final long IOVA = 0x1234_5000L;
    private static final long VALUE = 0x1122_3344_5566_7788L;

    private final Machine machine =
            MachineFactory.load().create(MachineFactory.load().named("amd"));
    private final AmdIommu iommu = (AmdIommu) new AmdVendor().open(machine.vendorContext(LinuxRelease.NEWEST));
    private final PciFunction function = translated(iommu);
    private final Endpoint endpoint = machine.endpoint(function.address());
    private final long target = machine.userFrames().allocate(0);

    private PciFunction translated(AmdIommu driver) {
        machine.topology().functions().forEach(each -> each.config().write(4, 2, 6));
        for (PciFunction each : machine.topology().functions()) {
            boolean endpointHeader = (each.config().read(0x0e, 1) & 0x7f) == 0;
            if (endpointHeader
                    && each.config().findCapability(ConfigSpace.CAPABILITY_PCI_EXPRESS) != 0
                    && driver.probe(each).isPresent()) {
                return each;
            }
        }
        throw new AssertionError("the machine has no endpoint behind its unit");
    }

    /** The device has no ATS, and the kernel never turned it on. */
    @ParameterizedTest
    @CsvSource({"6.19, false", "7.0, true", "7.1, false"})
    void in70AnIdentityDomainAnswersTranslationRequestsOfADeviceThatMayNotMakeThem(String release, boolean answered) {
        iommu.close();
        AmdIommu old = (AmdIommu) new AmdVendor().open(machine.vendorContext(LinuxRelease.named(release)));
        IommuDevice its = old.probe(function).orElseThrow();
        assertThat(function.config().findExtendedCapability(ConfigSpace.EXTENDED_CAPABILITY_ATS))
                .isZero();
        old.allocate(DomainType.IDENTITY, its).attach(its);
        TranslationUnit unit = machine.units().get(0);
        int requester = function.address().requesterId();

        long translation = unit.requestTranslation(requester, TranslationUnit.NO_PASID, target, RequestFlags.WRITE);
        long passed = unit.passTranslated(requester, TranslationUnit.NO_PASID, target, RequestFlags.WRITE);
        machine.runPending();

        assertThat(Translation.isFault(translation)).isEqualTo(!answered);
        assertThat(Translation.isFault(passed)).isEqualTo(!answered);
        assertThat(old.takeFaults())
                .extracting(fault -> fault.description().split(" ", 2)[0])
                .hasSize(answered ? 0 : 2)
                .containsOnly(answered ? new String[0] : new String[] {"INVALID_DEVICE_REQUEST"});
        assertThat(endpoint.write(target, VALUE, false))
                .as("its ordinary requests pass in every release")
                .isTrue();
    }

    /**
     * Linux did not look at how many levels a unit walks, and its table grows with the highest address that is mapped.
     */
    @ParameterizedTest
    @CsvSource({"6.16, true", "6.17, false"})
    void until616ATableMayGrowBeyondWhatTheUnitWalksAndThenNothingPasses(String release, boolean grows) {
        Machine small = MachineFactory.load().create(AmdViUnitProvider.machine("amd-small", 0x140, 0)); // HATS 0
        AmdIommu old = (AmdIommu) new AmdVendor().open(small.vendorContext(LinuxRelease.named(release)));
        PciFunction its = small.topology().function(function.address()).orElseThrow();
        its.config().write(4, 2, 6);
        IommuDevice gpu = old.probe(its).orElseThrow();
        IommuDomain domain = old.allocate(DomainType.UNMANAGED, gpu);
        domain.attach(gpu);
        domain.map(IOVA, target, K4, 1, Prot.READ_WRITE);
        Endpoint card = small.endpoint(its.address());
        assertThat(card.write(IOVA, VALUE, false)).isTrue();

        Throwable refusal = catchThrowable(() -> domain.map(1L << 48, target, K4, 1, Prot.READ_WRITE));

        assertThat(refusal == null).isEqualTo(grows);
        assertThat(card.write(IOVA, VALUE, false)).isEqualTo(!grows);
        small.runPending();
        assertThat(old.takeFaults())
                .extracting(fault -> fault.description().split(" ", 2)[0])
                .containsExactly(grows ? new String[] {"ILLEGAL_DEV_TABLE_ENTRY"} : new String[0]);
    }
}
