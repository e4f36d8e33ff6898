// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.kvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.platform.Processor;
import org.iommu4j.vfio.VfioFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Memory slots, and the memory type that guest pages have. */
class VirtualMachineTest {
    private final List<Processor> cpus = Processors.of(HardwareVirtualization.VMX, 1);
    private final VmmMemory memory = new VmmMemory();
    private final VirtualMachine machine = new VirtualMachine(memory, cpus, KvmOptions.DEFAULT);

    private void refused(Errno errno, int id, long guest, long size, long virtual) {
        assertThatThrownBy(() -> machine.addMemory(id, guest, size, virtual))
                .isInstanceOfSatisfying(
                        IommuException.class,
                        refusal -> assertThat(refusal.errno()).isEqualTo(errno));
    }

    @ParameterizedTest
    @CsvSource({
        "VMX, false, true, WB+IPAT",
        "VMX, true, true, WB",
        "VMX, false, false, WB",
        "VMX, true, false, WB",
        "SVM, false, true, GUEST_PAT",
        "SVM, true, true, GUEST_PAT",
    })
    void theTypeOfRamDependsOnDmaAndTheQuirk(
            HardwareVirtualization virtualization, boolean noncoherent, boolean quirk, String expected) {
        VirtualMachine asked = new VirtualMachine(
                memory, Processors.of(virtualization, 2), KvmOptions.DEFAULT.withIgnoreGuestPat(quirk));
        if (noncoherent) {
            asked.createVfioDevice().addFile((VfioFile) () -> false);
        }

        assertThat(asked.guestMemoryType()).hasToString(expected);
        assertThat(asked.guestMemoryType(true))
                .isEqualTo(
                        virtualization == HardwareVirtualization.VMX
                                ? GuestMemoryType.UC
                                : GuestMemoryType.GUEST_PAT_DEVICE);
    }

    @Test
    void processorsWithoutVmxAndSvmRunNoGuest() {
        List<Processor> none = Processors.of(HardwareVirtualization.NONE, 1);
        assertThatThrownBy(() -> new VirtualMachine(memory, none, KvmOptions.DEFAULT))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("neither VMX nor SVM");
        assertThatThrownBy(() -> GuestTreatment.of(LinuxRelease.NEWEST, HardwareVirtualization.NONE, true))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("neither VMX nor SVM");
    }

    @Test
    void theTypeChangesWithTheFilesWhileTheMachineRuns() {
        KvmVfioDevice device = machine.createVfioDevice();
        assertThat(machine.guestMemoryType()).isEqualTo(GuestMemoryType.WB_IPAT);
        VfioFile file = () -> false;
        device.addFile(file);
        assertThat(machine.guestMemoryType()).isEqualTo(GuestMemoryType.WB);
        device.deleteFile(file);
        assertThat(machine.guestMemoryType()).isEqualTo(GuestMemoryType.WB_IPAT);
    }

    @Test
    void slotsTranslateEachToItsOwnPlace() {
        memory.place(0x7000, 0x11_0000).place(0x8000, 0x55_0000).place(0x20000, 0x33_0000);
        machine.addMemory(0, 0, 0x2000, 0x7000);
        machine.addMemory(1, 0x1_0000_0000L, 0x1000, 0x20000);

        assertThat(machine.translate(0x18)).isEqualTo(0x11_0018);
        assertThat(machine.translate(0x1ff8)).isEqualTo(0x55_0ff8);
        assertThat(machine.translate(0x1_0000_0010L)).isEqualTo(0x33_0010);

        machine.removeMemory(0);
        assertThatThrownBy(() -> machine.translate(0x18)).isInstanceOf(IommuException.class);
        assertThat(machine.translate(0x1_0000_0010L)).isEqualTo(0x33_0010);
    }

    @Test
    void slotsMustNotOverlapAndMustBeAligned() {
        machine.addMemory(0, 0x10000, 0x4000, 0x7000);

        refused(Errno.EEXIST, 1, 0xf000, 0x2000, 0);
        refused(Errno.EEXIST, 1, 0x13000, 0x1000, 0);
        refused(Errno.EEXIST, 1, 0xf000, 0x10000, 0);
        refused(Errno.EINVAL, 0, 0x20000, 0x1000, 0);
        refused(Errno.EINVAL, 1, 0x20008, 0x1000, 0);
        refused(Errno.EINVAL, 1, 0x20000, 0x800, 0);
        refused(Errno.EINVAL, 1, 0x20000, 0x1000, 0x10);
        refused(Errno.EINVAL, 1, 0x20000, 0, 0);
        refused(Errno.EINVAL, 1, Long.MAX_VALUE - 0xfff, 0x2000, 0);
        refused(Errno.EINVAL, -1, 0x20000, 0x1000, 0);
        machine.addMemory(1, 0x14000, 0x1000, 0x7000);
        machine.addMemory(2, 0xf000, 0x1000, 0x7000);
        assertThatThrownBy(() -> machine.removeMemory(9)).isInstanceOf(IommuException.class);
    }

    @Test
    void aReleaseWithoutRulesIsRefusedByName() {
        assertThatThrownBy(
                        () -> new VirtualMachine(memory, cpus, KvmOptions.DEFAULT.withRelease(new LinuxRelease(5, 4))))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("5.4")
                .hasMessageContaining("7.1");
    }

    @Test
    void svmAlwaysInterceptsWbinvd() {
        List<Processor> svm = Processors.of(HardwareVirtualization.SVM, 1);

        assertThatThrownBy(() -> new VirtualMachine(memory, svm, KvmOptions.DEFAULT.withWbinvdExit(false)))
                .isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void aHostHasProcessorsInOrderAndOfOneKind() {
        List<Processor> mixed = List.of(
                cpus.get(0), Processors.of(HardwareVirtualization.SVM, 2).get(1));
        List<Processor> second =
                List.of(Processors.of(HardwareVirtualization.VMX, 2).get(1));

        assertThatThrownBy(() -> new VirtualMachine(memory, mixed, KvmOptions.DEFAULT))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> new VirtualMachine(memory, second, KvmOptions.DEFAULT))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> new VirtualMachine(memory, List.of(), KvmOptions.DEFAULT))
                .isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void memoryOfTheVmmIsBelowBit63() {
        refused(Errno.EINVAL, 0, 0, 0x1000, Long.MIN_VALUE);
        refused(Errno.EINVAL, 0, 0, 0x1000, -0x1000);
        refused(Errno.EINVAL, 0, 0, 0x2000, Long.MAX_VALUE - 0xfff);
        refused(Errno.EINVAL, 0, 0, 0x1000, Long.MAX_VALUE - 0xfff);
        machine.addMemory(0, 0, 0x1000, Long.MAX_VALUE - 0x1fff);
    }

    @Test
    void slotsAreFoundInWhateverOrderTheyCome() {
        for (int page : new int[] {8, 2, 5, 0, 9}) {
            long guest = page * 0x1000L;
            memory.place(0x7000_0000L + guest, 0x10_0000 + guest);
            machine.addMemory(page, guest, 0x1000, 0x7000_0000L + guest);
        }
        machine.removeMemory(5);
        refused(Errno.EEXIST, 20, 0x1000, 0x2000, 0x7000_0000L);
        refused(Errno.EEXIST, 20, 0x7000, 0x8000, 0x7000_0000L);
        refused(Errno.EINVAL, 9, 0x1000, 0x1000, 0x7000_0000L);
        for (int page = 0; page < 12; page++) {
            long guest = page * 0x1000L;
            if (page == 8 || page == 2 || page == 0 || page == 9) {
                assertThat(machine.translate(guest + 0xff8)).isEqualTo(0x10_0ff8 + guest);
            } else {
                assertThatThrownBy(() -> machine.translate(guest))
                        .isInstanceOfSatisfying(
                                IommuException.class,
                                refusal -> assertThat(refusal.errno()).isEqualTo(Errno.EFAULT));
            }
        }
    }
}
