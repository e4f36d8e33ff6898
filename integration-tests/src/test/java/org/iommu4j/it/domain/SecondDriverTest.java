// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.platform.support.FailNth;
import org.iommu4j.sim.amdvi.AmdViUnitProvider;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.vtd.VtdUnitProvider;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.IommuVendors;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A unit has one driver at a time. */
class SecondDriverTest {
    static List<Configuration> configurations() {
        return List.of(
                IntelConfigurations.of("VT-d", VtdUnitProvider.CAP_4_LEVEL, VtdUnitProvider.ECAP_SNOOP_CONTROL),
                // Registers of more than a page: fault records at 0x1000.
                IntelConfigurations.of(
                        "VT-d with registers of two pages",
                        (VtdUnitProvider.CAP_4_LEVEL & ~(0x3ffL << 24)) | (0x100L << 24),
                        VtdUnitProvider.ECAP_SNOOP_CONTROL),
                ScalableMachines.twoUnits(
                        ScalableMachines.CAP,
                        ScalableMachines.EVERYTHING,
                        ScalableMachines.CAP,
                        ScalableMachines.EVERYTHING),
                AmdConfigurations.of("AMD-Vi", AmdViUnitProvider.machine("amd-6", AmdViUnitProvider.EFR_6_LEVEL, 0)));
    }

    static List<Configuration> withTheSmallest() {
        List<Configuration> all = new ArrayList<>(configurations());
        all.add(DomainConfigurations.smallest());
        return all;
    }

    private static void assertBusy(Bench bench, IommuVendor vendor) {
        assertThatThrownBy(() -> vendor.open(bench.machine().vendorContext(LinuxRelease.NEWEST)))
                .hasMessageContaining("another driver")
                .isInstanceOfSatisfying(
                        IommuException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EBUSY));
    }

    @ParameterizedTest
    @MethodSource("withTheSmallest")
    void aSecondDriverIsRefusedAndTheFirstNoticesNothing(Configuration configuration) {
        Bench bench = new Bench(configuration);
        IommuVendor vendor = IommuVendors.load().named(bench.iommu().vendor());
        IommuDomain domain = bench.attached();
        long iova = Bench.iovaIn(domain);
        bench.map(domain, iova, Bench.SCRATCH);
        long frames = bench.framesInUse();

        assertBusy(bench, vendor);
        assertBusy(bench, vendor);

        assertThat(bench.framesInUse()).isEqualTo(frames);
        bench.assertReaches(iova, Bench.SCRATCH);
        bench.unmap(domain, iova, Bench.smallestPage(domain));
        bench.assertRefused(iova);
        domain.detach(bench.device());
        domain.close();
        bench.iommu().close();
        assertThat(bench.framesInUse()).isZero();
        vendor.open(bench.machine().vendorContext(LinuxRelease.NEWEST)).close();
    }

    @ParameterizedTest
    @MethodSource("configurations")
    void aDriverThatCouldNotBeOpenedLeavesTheRegistersToTheNext(Configuration configuration) {
        Machine machine = MachineFactory.load().createFlat(configuration.machine());
        IommuVendor vendor = IommuVendors.load().claiming(machine.firmware()).get(0);
        FailNth failures = new FailNth();
        int failed = 0;
        for (int n = 1; ; n++) {
            failures.arm(n);
            Iommu opened;
            try {
                opened = vendor.open(machine.vendorContext(LinuxRelease.NEWEST).failing(failures));
            } catch (IommuException e) {
                assertThat(e.errno()).as("n = %d", n).isNotEqualTo(Errno.EBUSY);
                failed++;
                continue;
            }
            failures.disarm();
            opened.close();
            if (!failures.fired()) {
                break;
            }
        }
        assertThat(failed).isGreaterThan(3);
    }

    @ParameterizedTest
    @MethodSource("withTheSmallest")
    void aResetTakesTheRegistersFromADriverThatIsVoid(Configuration configuration) {
        Bench bench = new Bench(configuration);
        bench.machine().reset();
        IommuVendors.load()
                .named(bench.iommu().vendor())
                .open(bench.machine().vendorContext(LinuxRelease.NEWEST))
                .close();
    }
}
