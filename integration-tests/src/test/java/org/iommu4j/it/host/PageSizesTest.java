// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.host;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.iommu4j.DomainType;
import org.iommu4j.Iommu;
import org.iommu4j.LinuxRelease;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.witness.SharedData;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The page sizes that VFIO names are those that real kernels named ({@code VFIO_IOMMU_GET_INFO}), on the same kind of
 * unit.
 */
class PageSizesTest {
    private static final Pattern RELEASE = Pattern.compile("(?m)^Linux \\S+ (\\S+)");
    private static final Pattern PAGE_SIZES = Pattern.compile("(?m)^GET_INFO .*pgsizes=0x(\\w+)");

    @ParameterizedTest
    @ValueSource(strings = {"6.1-amd", "6.12-amd", "7.3-amd-sb"})
    void amdsAreThoseOfTheRelease(String transcript) throws IOException {
        Path file = SharedData.path("linux/vfio/" + transcript + ".txt");
        String text = Files.readString(file);
        Set<String> seen = PAGE_SIZES
                .matcher(text)
                .results()
                .map(MatchResult::group)
                .map(line -> line.replaceAll(".*pgsizes=", ""))
                .collect(Collectors.toCollection(TreeSet::new));
        assertThat(seen).containsExactly("0x" + Long.toHexString(amdPageSizes(release(text))));
    }

    /** Returns the release of the kernel that answered, or the newest whose rules are built. */
    private static LinuxRelease release(String text) {
        String kernel =
                RELEASE.matcher(text).results().findFirst().orElseThrow().group(1);
        LinuxRelease release = LinuxRelease.ofKernel(kernel).orElseThrow();
        return release.compareTo(LinuxRelease.NEWEST) > 0 ? LinuxRelease.NEWEST : release;
    }

    private static long amdPageSizes(LinuxRelease release) {
        MachineFactory factory = MachineFactory.load();
        MachineDescription description = factory.named("amd");
        Machine machine = factory.createFlat(description);
        Iommu iommu = IommuVendors.load().named("amd").open(machine.vendorContext(release));
        PciFunction function = machine.topology().function(BuiltInTopology.GPU).orElseThrow();
        return iommu.allocate(
                        DomainType.UNMANAGED,
                        iommu.probe(function, function.address().requesterId()).orElseThrow())
                .pageSizes();
    }
}
