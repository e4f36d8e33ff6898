// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.kvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.mockito.ArgumentMatchers.any;
import static org.mockito.ArgumentMatchers.anyLong;
import static org.mockito.Mockito.never;
import static org.mockito.Mockito.times;
import static org.mockito.Mockito.verify;
import static org.mockito.Mockito.when;

import java.util.List;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.platform.Processor;
import org.iommu4j.vfio.VfioFile;
import org.junit.jupiter.api.Test;

/** Which cache instructions of a guest reach which CPU. */
class VcpuTest {
    private static final long GUEST = 0x4000_0000L;
    private static final long VIRTUAL = 0x7f00_0000_0000L;
    private static final long FRAME = 0x12_3000L;

    private final List<Processor> cpus = Processors.of(HardwareVirtualization.VMX, 4);
    private final VmmMemory memory = new VmmMemory().place(VIRTUAL, FRAME);

    private VirtualMachine machine(KvmOptions options) {
        VirtualMachine machine = new VirtualMachine(memory, cpus, options);
        machine.addMemory(0, GUEST, 0x2000, VIRTUAL);
        return machine;
    }

    private VirtualMachine noncoherent(KvmOptions options) {
        VirtualMachine machine = machine(options);
        machine.createVfioDevice().addFile((VfioFile) () -> false);
        return machine;
    }

    @Test
    void wbinvdIsANoOpWhileDmaIsCoherent() {
        VirtualMachine machine = machine(KvmOptions.DEFAULT);
        Vcpu vcpu = machine.createVcpu(cpus.get(0));

        vcpu.wbinvd();

        for (Processor cpu : cpus) {
            verify(cpu, never()).wbinvd();
        }
        assertThat(machine.wbinvdIgnored()).isEqualTo(1);
        assertThat(machine.wbinvdExecuted()).isZero();
    }

    @Test
    void wbinvdReachesEveryCpuThatTheVcpuWasOn() {
        VirtualMachine machine = noncoherent(KvmOptions.DEFAULT);
        Vcpu vcpu = machine.createVcpu(cpus.get(0));
        vcpu.loadOn(cpus.get(2));
        vcpu.loadOn(cpus.get(3));

        vcpu.wbinvd();

        verify(cpus.get(0)).wbinvd();
        verify(cpus.get(1), never()).wbinvd();
        verify(cpus.get(2)).wbinvd();
        verify(cpus.get(3)).wbinvd();
        assertThat(machine.wbinvdExecuted()).isEqualTo(3);
    }

    @Test
    void theMaskIsEmptyAfterWbinvdAlthoughTheVcpuRunsOn() {
        VirtualMachine machine = noncoherent(KvmOptions.DEFAULT);
        Vcpu vcpu = machine.createVcpu(cpus.get(0));
        vcpu.wbinvd();
        assertThat(vcpu.dirtied(cpus.get(0))).isFalse();
        vcpu.loadOn(cpus.get(1));

        vcpu.wbinvd();

        verify(cpus.get(0), times(1)).wbinvd();
        verify(cpus.get(1), times(1)).wbinvd();
    }

    /** The second window: what is loaded between the steps is forgotten with the mask. */
    @Test
    void aLoadBetweenTheStepsOfAWbinvdIsForgotten() {
        Vcpu vcpu = noncoherent(KvmOptions.DEFAULT).createVcpu(cpus.get(0));
        vcpu.beginWbinvd();
        vcpu.loadOn(cpus.get(2));
        assertThat(vcpu.dirtied(cpus.get(2))).isTrue();
        vcpu.endWbinvd();
        vcpu.store(GUEST, 1);
        vcpu.loadOn(cpus.get(1));

        vcpu.wbinvd();

        verify(cpus.get(2), never()).wbinvd();
        verify(cpus.get(0), times(1)).wbinvd();
        verify(cpus.get(1), times(1)).wbinvd();
    }

    @Test
    void aGuestExecutesNothingBetweenTheSteps() {
        VirtualMachine machine = noncoherent(KvmOptions.DEFAULT);
        Vcpu vcpu = machine.createVcpu(cpus.get(0));
        vcpu.beginWbinvd();

        for (Runnable access : List.<Runnable>of(
                () -> vcpu.load(GUEST),
                () -> vcpu.store(GUEST, 1),
                () -> vcpu.clflush(GUEST),
                () -> vcpu.clflushopt(GUEST),
                () -> vcpu.clwb(GUEST),
                vcpu::sfence,
                vcpu::wbnoinvd,
                vcpu::mfence,
                vcpu::invd,
                vcpu::wbinvd,
                () -> vcpu.setCachingOff(true))) {
            assertThatThrownBy(access::run).isInstanceOf(IllegalStateException.class);
        }
        vcpu.endWbinvd();

        assertThatThrownBy(vcpu::endWbinvd).isInstanceOf(IllegalStateException.class);
        assertThat(machine.wbinvdExecuted()).isEqualTo(1);
    }

    @Test
    void aWbinvdThatWasIgnoredEmptiesNothing() {
        VirtualMachine machine = machine(KvmOptions.DEFAULT);
        KvmVfioDevice device = machine.createVfioDevice();
        VfioFile file = () -> false;
        device.addFile(file);
        Vcpu vcpu = machine.createVcpu(cpus.get(0));
        device.deleteFile(file);

        vcpu.wbinvd();
        assertThat(vcpu.dirtied(cpus.get(0))).isTrue();
        vcpu.loadOn(cpus.get(1));
        assertThat(vcpu.dirtied(cpus.get(1))).isFalse();
        vcpu.loadOn(cpus.get(2));
        device.addFile(file);
        vcpu.wbinvd();

        verify(cpus.get(0)).wbinvd();
        verify(cpus.get(1), never()).wbinvd();
        verify(cpus.get(2)).wbinvd();
    }

    @Test
    void beingLoadedAgainOnTheSameCpuCounts() {
        VirtualMachine machine = noncoherent(KvmOptions.DEFAULT);
        Vcpu vcpu = machine.createVcpu(cpus.get(0));
        vcpu.wbinvd();
        vcpu.loadOn(cpus.get(0));
        vcpu.loadOn(cpus.get(1));

        vcpu.wbinvd();

        verify(cpus.get(0), times(2)).wbinvd();
    }

    @Test
    void cpusFromBeforeDmaBecameNonCoherentAreNotRemembered() {
        VirtualMachine machine = machine(KvmOptions.DEFAULT);
        Vcpu vcpu = machine.createVcpu(cpus.get(0));
        vcpu.loadOn(cpus.get(1));
        assertThat(vcpu.dirtied(cpus.get(0))).isFalse();
        machine.createVfioDevice().addFile((VfioFile) () -> false);

        vcpu.wbinvd();

        verify(cpus.get(0), never()).wbinvd();
        verify(cpus.get(1)).wbinvd();
    }

    /** As at KVM_RUN: a VMM makes vCPUs before it tells KVM of its devices. */
    @Test
    void runningTheGuestRemembersTheCpuOnWhichTheVcpuWasMade() {
        VirtualMachine machine = machine(KvmOptions.DEFAULT);
        Vcpu vcpu = machine.createVcpu(cpus.get(0));
        machine.createVfioDevice().addFile((VfioFile) () -> false);
        assertThat(vcpu.dirtied(cpus.get(0))).isFalse();
        vcpu.loadOn(cpus.get(0));
        assertThat(vcpu.dirtied(cpus.get(0))).isTrue();
        vcpu.loadOn(cpus.get(1));

        vcpu.wbinvd();

        verify(cpus.get(0)).wbinvd();
        verify(cpus.get(1)).wbinvd();
    }

    @Test
    void runningTheGuestFlushesNothing() {
        Vcpu vcpu = noncoherent(KvmOptions.DEFAULT.withWbinvdExit(false)).createVcpu(cpus.get(0));

        vcpu.loadOn(cpus.get(0));

        verify(cpus.get(0), never()).wbinvd();
        assertThat(vcpu.processor()).isSameAs(cpus.get(0));
    }

    @Test
    void withoutAnExitWbinvdRunsHereAndMigrationFlushesTheOldCpu() {
        VirtualMachine machine = noncoherent(KvmOptions.DEFAULT.withWbinvdExit(false));
        Vcpu vcpu = machine.createVcpu(cpus.get(0));

        vcpu.loadOn(cpus.get(1));
        verify(cpus.get(0)).wbinvd();
        vcpu.loadOn(cpus.get(1));
        verify(cpus.get(1), never()).wbinvd();

        vcpu.wbinvd();
        verify(cpus.get(0), times(1)).wbinvd();
        verify(cpus.get(1)).wbinvd();
    }

    @Test
    void withoutAnExitAndCoherentMigrationFlushesNothing() {
        VirtualMachine machine = machine(KvmOptions.DEFAULT.withWbinvdExit(false));
        Vcpu vcpu = machine.createVcpu(cpus.get(0));

        vcpu.loadOn(cpus.get(1));
        verify(cpus.get(0), never()).wbinvd();

        // Nobody intercepts the instruction, so it is the CPU's.
        vcpu.wbinvd();
        verify(cpus.get(1)).wbinvd();
    }

    @Test
    void invdNeverReachesACpu() {
        Vcpu vcpu = noncoherent(KvmOptions.DEFAULT).createVcpu(cpus.get(0));

        vcpu.invd();

        verify(cpus.get(0), never()).wbinvd();
        verify(cpus.get(0), never()).clflush(anyLong());
    }

    @Test
    void flushesThatWaitAndFencesAlwaysWork() {
        Vcpu vcpu = machine(KvmOptions.DEFAULT).createVcpu(cpus.get(0));

        vcpu.clflushopt(GUEST + 0x48);
        vcpu.clwb(GUEST + 0x88);
        vcpu.sfence();

        verify(cpus.get(0)).clflushopt(FRAME + 0x48);
        verify(cpus.get(0)).clwb(FRAME + 0x88);
        verify(cpus.get(0)).sfence();
    }

    @Test
    void wbnoinvdIsExecutedOrIgnoredAsWbinvdIs() {
        VirtualMachine coherent = machine(KvmOptions.DEFAULT);
        coherent.createVcpu(cpus.get(0)).wbnoinvd();
        assertThat(coherent.wbinvdIgnored()).isEqualTo(1);
        verify(cpus.get(0), never()).wbinvd();

        noncoherent(KvmOptions.DEFAULT).createVcpu(cpus.get(0)).wbnoinvd();
        verify(cpus.get(0)).wbinvd();
        verify(cpus.get(0), never()).wbnoinvd();
    }

    @Test
    void clflushAndMfenceAlwaysWork() {
        Vcpu vcpu = machine(KvmOptions.DEFAULT).createVcpu(cpus.get(0));

        vcpu.clflush(GUEST + 0x48);
        vcpu.mfence();

        verify(cpus.get(0)).clflush(FRAME + 0x48);
        verify(cpus.get(0)).mfence();
    }

    @Test
    void accessesGoToTheHostPhysicalAddressOnTheCurrentCpu() {
        Vcpu vcpu = machine(KvmOptions.DEFAULT).createVcpu(cpus.get(0));
        vcpu.loadOn(cpus.get(1));
        when(cpus.get(1).load(FRAME + 8, MemoryType.WB)).thenReturn(77L);

        assertThat(vcpu.load(GUEST + 8)).isEqualTo(77);
        vcpu.store(GUEST + 16, 5);

        verify(cpus.get(1)).store(FRAME + 16, 5, MemoryType.WB);
        verify(cpus.get(0), never()).store(anyLong(), anyLong(), any());
    }

    @Test
    void theGuestsPatIsIgnoredWhileDmaIsCoherent() {
        Vcpu vcpu = machine(KvmOptions.DEFAULT).createVcpu(cpus.get(0));

        vcpu.store(GUEST, 1, MemoryType.UC);
        vcpu.load(GUEST, MemoryType.UC);

        verify(cpus.get(0)).store(FRAME, 1, MemoryType.WB);
        verify(cpus.get(0)).load(FRAME, MemoryType.WB);
    }

    @Test
    void theGuestsPatIsHonouredWhileDmaIsNonCoherent() {
        Vcpu vcpu = noncoherent(KvmOptions.DEFAULT).createVcpu(cpus.get(0));

        vcpu.store(GUEST, 1, MemoryType.UC);
        vcpu.store(GUEST, 2, MemoryType.WB);

        verify(cpus.get(0)).store(FRAME, 1, MemoryType.UC);
        verify(cpus.get(0)).store(FRAME, 2, MemoryType.WB);
    }

    @Test
    void anAddressWithoutMemoryFaults() {
        Vcpu vcpu = machine(KvmOptions.DEFAULT).createVcpu(cpus.get(0));

        for (long address : new long[] {0, GUEST - 8, GUEST + 0x2000, GUEST + 0x1000}) {
            assertThatThrownBy(() -> vcpu.load(address))
                    .isInstanceOfSatisfying(
                            IommuException.class,
                            refusal -> assertThat(refusal.errno()).isEqualTo(Errno.EFAULT));
        }
    }

    @Test
    void aProcessorOfAnotherHostIsABug() {
        Processor foreign = Processors.of(HardwareVirtualization.VMX, 1).get(0);
        VirtualMachine machine = machine(KvmOptions.DEFAULT);
        Vcpu vcpu = machine.createVcpu(cpus.get(0));

        assertThatThrownBy(() -> machine.createVcpu(foreign)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> vcpu.loadOn(foreign)).isInstanceOf(IllegalArgumentException.class);
        assertThat(vcpu.processor()).isSameAs(cpus.get(0));
    }
}
