// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.iommu4j.LinuxRelease;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.workbench.Workbench;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * A function behind a PCIe-to-PCI bridge that moves to another container: its requests carry the bridge's id, whose
 * context entry Linux left in the unit's cache from 6.11 to 7.2. {@link LiveVfioIT} asks live kernels the same.
 */
class MovedFunctionTest {
    private static final List<PciAddress> FUNCTIONS = Stream.of(
                    "0000:00:05.0", // alone in its group, as the next is
                    "0000:00:0b.0",
                    "0000:04:01.0", // two behind a bridge, in one group
                    "0000:04:02.0")
            .map(PciAddress::parse)
            .toList();

    /** The second DMA reads the word of one page and writes it to the next: the first container's, or the second's. */
    private static final String IN_FIRST = "0 0 0+0x1010=0x1000000000002 0+0x1018=0x1000000000003";

    private static final String IN_SECOND = "0 0 0+0x9010=0x1000000080002 0+0x9018=0x1000000080003";

    @ParameterizedTest
    @CsvSource({
        "6.1, false",
        "6.10, false",
        "6.11, true",
        "6.12.107, true",
        "6.12.117, false",
        "6.18.15, true",
        "7.2, true",
        "7.2.6, false",
        "7.3, false"
    })
    void behindABridgeItGoesOnInTheFirstFrom611To72(String release, boolean goesOn) {
        assertThat(secondDma(release, 2)).isEqualTo(goesOn ? IN_FIRST : IN_SECOND);
    }

    @ParameterizedTest
    @CsvSource({"6.10", "6.11", "7.2", "7.3"})
    void elsewhereItIsInTheSecond(String release) {
        assertThat(secondDma(release, 1)).isEqualTo(IN_SECOND);
    }

    private static String secondDma(String release, int function) {
        VfioSequence sequence = VfioSequence.ofMovedFunction(function, 0);
        SimulatedVfio vfio = new SimulatedVfio(machine(), LinuxRelease.of(release), FUNCTIONS, List.of(), sequence);
        List<String> answers = vfio.perform(sequence.calls());
        vfio.exit();
        assertThat(answers).allMatch(answer -> answer.startsWith("0 0"));
        return answers.get(answers.size() - 1);
    }

    private static MachineDescription machine() {
        Workbench workbench = Workbench.create();
        return workbench.describe(workbench.read(Path.of(
                Objects.requireNonNull(MovedFunctionTest.class.getResource("/captures/intel-sc1.tar"), "capture")
                        .getPath())));
    }
}
