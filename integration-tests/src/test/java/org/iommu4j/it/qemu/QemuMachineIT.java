// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.qemu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.iommu4j.LinuxRelease;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.pci.PciTopology;
import org.iommu4j.platform.SystemMemory;
import org.junit.jupiter.api.Test;

/** The ports over qtest keep the promises of the platform's interfaces. */
@OnEachQemu
class QemuMachineIT {
    private static final long FRAME = Rig.TARGET;

    private final QemuLab lab;
    private final QemuMachine machine;

    QemuMachineIT(QemuLab lab) {
        this.lab = lab;
        machine = new QemuMachine(lab, new IntelHardware(""));
    }

    @Test
    void memoryKeepsWhatIsStored() {
        SystemMemory memory = machine.memory();
        memory.store(FRAME, 0x8123_4567_89ab_cdefL);
        assertThat(memory.load(FRAME)).isEqualTo(0x8123_4567_89ab_cdefL);
        memory.storeRun(FRAME + 8, 5, 3, 511);
        assertThat(memory.load(FRAME + 4088)).isEqualTo(5 + 510 * 3);
        assertThat(machine.words(FRAME + 8, 3)).containsExactly(5, 8, 11);
        assertThat(memory.leadingSet(FRAME + 8, 1, 511)).isEqualTo(1);
        assertThat(memory.leadingClear(FRAME + 8, 1L << 20, 511)).isEqualTo(511);
    }

    @Test
    void compareAndSetStoresOnlyOverTheExpectedValue() {
        SystemMemory memory = machine.memory();
        memory.store(FRAME + 4096, 1);
        assertThat(memory.compareAndSet(FRAME + 4096, 2, 3)).isFalse();
        assertThat(memory.load(FRAME + 4096)).isEqualTo(1);
        assertThat(memory.compareAndSet(FRAME + 4096, 1, 3)).isTrue();
        assertThat(memory.load(FRAME + 4096)).isEqualTo(3);
    }

    @Test
    void accessesThatNoDriverMayMakeAreRefused() {
        SystemMemory memory = machine.memory();
        assertThatThrownBy(() -> memory.load(FRAME + 4)).isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(() -> memory.load(Hardware.MEMORY_BYTES)).isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(() -> memory.storeRun(FRAME + 8, 0, 0, 512)).isInstanceOf(IllegalStateException.class);
    }

    @Test
    void theTopologyIsWhatQemuShows() {
        PciTopology topology = machine.vendorContext(LinuxRelease.NEWEST).topology();
        assertThat(topology.functions())
                .extracting(PciFunction::address)
                .contains(Hardware.FIRST, Hardware.SECOND, Hardware.PORT, Hardware.BELOW, new PciAddress(0, 0, 0x1f, 3))
                .isSorted();
        PciFunction below = topology.function(Hardware.BELOW).orElseThrow();
        assertThat(below.upstreamBridge()).contains(Hardware.PORT);
        assertThat(below.config().read(0, 4)).isEqualTo(0x11e81234);
        PciFunction port = topology.function(Hardware.PORT).orElseThrow();
        assertThat(port.config().findCapability(ConfigSpace.CAPABILITY_PCI_EXPRESS))
                .isNotZero();
        assertThat(port.config().findExtendedCapability(ConfigSpace.EXTENDED_CAPABILITY_ACS))
                .isNotZero();
    }

    @Test
    void aWaitForWhatNeverComesEnds() {
        assertThat(machine.vendorContext(LinuxRelease.NEWEST).waiter().await(() -> false, Long.MAX_VALUE))
                .isFalse();
    }

    @Test
    void whatALabStartedEndsWithIt() {
        List<ProcessHandle> before = ProcessHandle.current().descendants().toList();
        List<ProcessHandle> started;
        try (QemuLab another = new QemuLab(lab.qemu())) {
            another.start(16L << 20, List.of());
            another.start(16L << 20, List.of());
            started = ProcessHandle.current()
                    .descendants()
                    .filter(process -> !before.contains(process))
                    .toList();
            assertThat(started).as("shells and QEMUs").hasSize(4);
        }
        assertThat(started).noneMatch(ProcessHandle::isAlive);
        assertThat(before).allMatch(ProcessHandle::isAlive);
    }

    @Test
    void aCommandThatQemuRefusesIsTold() {
        QemuProcess process = lab.start(16L << 20, List.of());
        process.qtest().post("no such command");
        assertThatThrownBy(() -> process.qtest().read32(0))
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("no such command");
    }

    @Test
    void anOptionThatQemuRefusesIsTold() {
        assertThatThrownBy(() -> new QemuMachine(lab, new IntelHardware("no-such-option=on")))
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("no-such-option");
    }
}
