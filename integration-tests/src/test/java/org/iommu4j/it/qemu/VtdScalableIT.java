// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.qemu;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Optional;
import org.iommu4j.DomainType;
import org.iommu4j.LinuxRelease;
import org.iommu4j.Prot;
import org.iommu4j.pci.PciAddress;
import org.junit.jupiter.api.Test;

/**
 * The VT-d driver in scalable mode with the second stage on QEMU's unit.
 *
 * <p>On QEMU alone, each outcome told here; {@code RandomSequencesIT} compares scalable mode with ours.
 */
@OnEachQemu
class VtdScalableIT {
    private static final long PAGE = 4096;
    private static final long LARGE_PAGE = 2L << 20;
    private static final long IOVA = 0x4000_0000L;
    private static final long LARGE_IOVA = 0x8000_0000L;
    private static final long TARGET = Rig.TARGET;
    private static final long LARGE_TARGET = TARGET + LARGE_PAGE;
    private static final int RTADDR = 0x20;
    private static final long SCALABLE_MODE = 1L << 10;

    private final QemuMachine machine;
    private final Rig rig;

    VtdScalableIT(QemuLab lab) {
        machine = new QemuMachine(lab, new IntelHardware("x-scalable-mode=on,snoop-control=on"));
        rig = new Rig(machine, LinuxRelease.NEWEST);
        rig.newDomain(Hardware.FIRST);
    }

    private void assertReaches(PciAddress device, long iova, long physicalAddress) {
        rig.code(physicalAddress & -PAGE, 1);
        assertThat(rig.read(device, iova, 1))
                .isEqualTo(new Rig.Outcome(List.of(Rig.coded(physicalAddress)), List.of()));
        assertThat(rig.write(device, 3, iova, 1, List.of(physicalAddress)))
                .isEqualTo(new Rig.Outcome(List.of(Rig.pattern(device, 3)), List.of()));
    }

    private void assertRefused(PciAddress device, long iova, long mapped) {
        rig.code(mapped & -PAGE, 1);
        Rig.Outcome outcome = rig.write(device, 5, iova, 1, List.of(mapped));
        assertThat(outcome.words()).containsExactly(Rig.coded(mapped));
        assertThat(outcome.faults())
                .singleElement()
                .satisfies(fault -> assertThat(fault.page()).isEqualTo(iova & -PAGE))
                .satisfies(fault -> assertThat(fault.write()).isTrue())
                .satisfies(fault -> assertThat(fault.requesterId()).isEqualTo(device.requesterId()));
    }

    @Test
    void devicesReachWhatIsMappedAndNothingElse() {
        assertThat(machine.registers()
                        .map(IntelHardware.REGISTER_BASE, IntelHardware.REGISTER_BYTES)
                        .read64(RTADDR))
                .as("RTADDR")
                .matches(value -> (value & SCALABLE_MODE) != 0);
        assertRefused(Hardware.FIRST, TARGET, TARGET);
        assertRefused(Hardware.BELOW, TARGET, TARGET);
        assertThat(rig.attach(0, Hardware.FIRST)).isTrue();
        assertThat(rig.attach(0, Hardware.BELOW)).isTrue();
        assertThat(rig.enforce(0)).isEqualTo(Optional.of(true));
        rig.map(0, IOVA, TARGET, PAGE, 1, Prot.READ_WRITE);
        rig.map(0, LARGE_IOVA, LARGE_TARGET, LARGE_PAGE, 1, Prot.READ_WRITE);
        for (PciAddress device : List.of(Hardware.FIRST, Hardware.BELOW)) {
            assertReaches(device, IOVA + 0x18, TARGET + 0x18);
            assertReaches(device, LARGE_IOVA + 0x123450, LARGE_TARGET + 0x123450);
            assertRefused(device, IOVA + PAGE, TARGET + PAGE);
            assertRefused(device, TARGET, TARGET);
        }
        assertThat(rig.unmap(0, IOVA, PAGE)).isEqualTo(PAGE);
        assertRefused(Hardware.FIRST, IOVA, TARGET);
        assertThat(rig.detach(Hardware.FIRST)).isTrue();
        assertRefused(Hardware.FIRST, LARGE_IOVA, LARGE_TARGET);
        assertReaches(Hardware.BELOW, LARGE_IOVA, LARGE_TARGET);
    }

    @Test
    void aMappingPermitsWhatItSays() {
        rig.attach(0, Hardware.FIRST);
        rig.map(0, IOVA, TARGET, PAGE, 1, Prot.READ);
        assertRefused(Hardware.FIRST, IOVA, TARGET);
        assertThat(rig.read(Hardware.FIRST, IOVA, 1).words()).containsExactly(Rig.coded(TARGET));
    }

    @Test
    void anIdentityDomainPassesThrough() {
        rig.newDomain(DomainType.IDENTITY, Hardware.FIRST);
        assertThat(rig.attach(1, Hardware.FIRST)).isTrue();
        assertReaches(Hardware.FIRST, TARGET + 0x40, TARGET + 0x40);
        assertRefused(Hardware.SECOND, TARGET, TARGET);
    }

    @Test
    void aDeviceMovesBetweenDomains() {
        rig.newDomain(Hardware.FIRST);
        rig.map(0, IOVA, TARGET, PAGE, 1, Prot.READ_WRITE);
        rig.map(1, IOVA, TARGET + PAGE, PAGE, 1, Prot.READ_WRITE);
        for (int turn = 0; turn < 3; turn++) {
            assertThat(rig.attach(0, Hardware.FIRST)).isTrue();
            assertReaches(Hardware.FIRST, IOVA, TARGET);
            assertThat(rig.attach(1, Hardware.FIRST)).isTrue();
            assertReaches(Hardware.FIRST, IOVA, TARGET + PAGE);
        }
    }
}
