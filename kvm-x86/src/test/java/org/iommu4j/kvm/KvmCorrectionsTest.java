// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.kvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.mockito.Mockito.never;
import static org.mockito.Mockito.times;
import static org.mockito.Mockito.verify;

import java.util.Arrays;
import java.util.List;
import org.iommu4j.LinuxRelease;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.platform.Processor;
import org.iommu4j.vfio.VfioFile;
import org.junit.jupiter.api.Test;

/** Corrections that no release has: each does what it says, and nothing happens without it. */
class KvmCorrectionsTest {
    private final List<Processor> cpus = Processors.of(HardwareVirtualization.VMX, 4);

    private VirtualMachine machine(String... corrections) {
        return new VirtualMachine(
                new VmmMemory(),
                cpus,
                KvmOptions.DEFAULT.withRelease(LinuxRelease.NEWEST.with(Arrays.stream(corrections)
                        .map(rule -> new LinuxRelease.Fix(rule, null))
                        .toList())));
    }

    private static void addDevice(VirtualMachine machine) {
        machine.createVfioDevice().addFile((VfioFile) () -> false);
    }

    private boolean keepsCpuAfterWbinvd(boolean moves, String... corrections) {
        VirtualMachine machine = machine(corrections);
        addDevice(machine);
        Vcpu vcpu = machine.createVcpu(cpus.get(1));
        vcpu.beginWbinvd();
        if (moves) {
            vcpu.loadOn(cpus.get(2));
        }
        vcpu.endWbinvd();
        return vcpu.dirtied(vcpu.processor());
    }

    @Test
    void theCpuThatWasFlushedLastIsKept() {
        assertThat(keepsCpuAfterWbinvd(false, "maskKeepsOwnCpu")).isTrue();
        assertThat(keepsCpuAfterWbinvd(true, "maskKeepsOwnCpu")).isFalse();
        assertThat(keepsCpuAfterWbinvd(false)).isFalse();
    }

    @Test
    void aLoadBetweenTheStepsOfAWbinvdIsKept() {
        assertThat(keepsCpuAfterWbinvd(true, "maskEmptiedWhilePinned")).isTrue();
        assertThat(keepsCpuAfterWbinvd(false, "maskEmptiedWhilePinned")).isFalse();
        assertThat(keepsCpuAfterWbinvd(true)).isFalse();
    }

    @Test
    void aLoadBeforeTheFirstDeviceIsRemembered() {
        VirtualMachine corrected = machine("maskFollowsEveryLoad");
        Vcpu vcpu = corrected.createVcpu(cpus.get(1));
        vcpu.loadOn(cpus.get(2));
        assertThat(vcpu.dirtied(cpus.get(1))).isTrue();
        assertThat(vcpu.dirtied(cpus.get(2))).isTrue();
        assertThat(machine().createVcpu(cpus.get(1)).dirtied(cpus.get(1))).isFalse();
    }

    @Test
    void theFirstDeviceHasAllCpusFlushed() {
        addDevice(machine());
        for (Processor cpu : cpus) {
            verify(cpu, never()).wbinvd();
        }
        addDevice(machine("flushesOnRegistration"));
        for (Processor cpu : cpus) {
            verify(cpu, times(1)).wbinvd();
        }
    }

    @Test
    void aWbinvdReachesCpusOnWhichTheVcpuNeverWas() {
        VirtualMachine machine = machine("wbinvdReachesAllCpus");
        addDevice(machine);
        machine.createVcpu(cpus.get(1)).wbinvd();
        for (Processor cpu : cpus) {
            verify(cpu, times(1)).wbinvd();
        }
    }

    private GuestMemoryType typeAfterTheQuirkIsOff(KvmQuirk quirk, String... corrections) {
        VirtualMachine machine = machine(corrections);
        machine.addMemory(0, 0, 4096, 0x5500_0000_0000L);
        Vcpu vcpu = machine.createVcpu(cpus.get(1));
        assertThat(vcpu.memoryTypeOf(0)).isEqualTo(GuestMemoryType.WB_IPAT);
        machine.disableQuirk(quirk);
        return vcpu.memoryTypeOf(0);
    }

    @Test
    void entriesGoWhenTheQuirkAboutTheGuestsPatIsTurnedOff() {
        String correction = "dropsEntriesOnQuirkChange";
        assertThat(typeAfterTheQuirkIsOff(KvmQuirk.IGNORE_GUEST_PAT, correction))
                .isEqualTo(GuestMemoryType.WB);
        assertThat(typeAfterTheQuirkIsOff(KvmQuirk.IGNORE_GUEST_PAT)).isEqualTo(GuestMemoryType.WB_IPAT);
        assertThat(typeAfterTheQuirkIsOff(KvmQuirk.CD_NW_CLEARED, correction)).isEqualTo(GuestMemoryType.WB_IPAT);
    }

    @Test
    void aVcpuIsPutBackToWhatItWas() {
        VirtualMachine machine = machine("maskKeepsOwnCpu");
        addDevice(machine);
        Vcpu vcpu = machine.createVcpu(cpus.get(1));
        vcpu.setCachingOff(true);
        vcpu.beginWbinvd();
        vcpu.loadOn(cpus.get(3));
        long saved = vcpu.save();
        vcpu.endWbinvd();
        vcpu.setCachingOff(false);
        vcpu.loadOn(cpus.get(0));
        vcpu.restore(saved);
        assertThat(vcpu.save()).isEqualTo(saved);
        assertThat(vcpu.processor()).isSameAs(cpus.get(3));
        assertThat(vcpu.insideExecutedWbinvd()).isTrue();
        vcpu.endWbinvd();
        assertThat(vcpu.dirtied(cpus.get(1))).isTrue();
        assertThat(vcpu.dirtied(cpus.get(3))).isFalse();
    }
}
