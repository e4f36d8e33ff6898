// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.kvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.mockito.Mockito.clearInvocations;
import static org.mockito.Mockito.mock;
import static org.mockito.Mockito.verify;
import static org.mockito.Mockito.verifyNoInteractions;
import static org.mockito.Mockito.when;

import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.vfio.VfioFile;
import org.junit.jupiter.api.Test;

/** What KVM makes of the files that it is told about. */
class KvmVfioDeviceTest {
    private final VirtualMachine machine =
            new VirtualMachine(new VmmMemory(), Processors.of(HardwareVirtualization.VMX, 2), KvmOptions.DEFAULT);
    private final KvmVfioDevice device = machine.createVfioDevice();

    private static VfioFile file(boolean coherent) {
        VfioFile file = mock(VfioFile.class);
        when(file.enforcedCoherent()).thenReturn(coherent);
        return file;
    }

    private static void refused(Errno errno, Runnable call) {
        assertThatThrownBy(call::run)
                .isInstanceOfSatisfying(
                        IommuException.class,
                        refusal -> assertThat(refusal.errno()).isEqualTo(errno));
    }

    @Test
    void aMachineIsCoherentWithoutFilesAndWithCoherentOnes() {
        assertThat(machine.noncoherentDma()).isFalse();
        device.addFile(file(true));
        device.addFile(file(true));
        assertThat(machine.noncoherentDma()).isFalse();
        assertThat(device.noncoherent()).isFalse();
    }

    @Test
    void oneFileThatIsNotCoherentMakesTheMachineNonCoherentOnce() {
        VfioFile first = file(false);
        VfioFile second = file(false);
        device.addFile(file(true));
        device.addFile(first);
        device.addFile(second);
        assertThat(machine.noncoherentDmaCount()).isEqualTo(1);

        device.deleteFile(first);
        assertThat(machine.noncoherentDmaCount()).isEqualTo(1);
        device.deleteFile(second);
        assertThat(machine.noncoherentDmaCount()).isZero();
    }

    @Test
    void filesAreAskedOnlyWhenOneIsAddedOrDeleted() {
        VfioFile changing = file(true);
        VfioFile other = file(true);
        device.addFile(changing);
        when(changing.enforcedCoherent()).thenReturn(false);
        clearInvocations(changing);

        assertThat(machine.noncoherentDma()).isFalse();
        assertThat(machine.guestMemoryType()).isEqualTo(GuestMemoryType.WB_IPAT);
        verifyNoInteractions(changing);

        device.addFile(other);
        verify(changing).enforcedCoherent();
        assertThat(machine.noncoherentDma()).isTrue();

        when(changing.enforcedCoherent()).thenReturn(true);
        device.deleteFile(other);
        assertThat(machine.noncoherentDma()).isFalse();
    }

    @Test
    void aFileIsKnownByIdentityAndAddedOnce() {
        VfioFile file = file(true);
        device.addFile(file);

        refused(Errno.EEXIST, () -> device.addFile(file));
        device.addFile(file(true));
    }

    @Test
    void deletingAnUnknownFileIsRefusedAndAsksNoOther() {
        VfioFile known = file(true);
        device.addFile(known);
        when(known.enforcedCoherent()).thenReturn(false);

        refused(Errno.ENOENT, () -> device.deleteFile(file(true)));

        assertThat(machine.noncoherentDma()).isFalse();
    }

    @Test
    void aMachineHasOneDeviceAtATime() {
        refused(Errno.EBUSY, machine::createVfioDevice);
        device.addFile(file(false));

        device.close();
        device.close();

        assertThat(machine.noncoherentDmaCount()).isZero();
        refused(Errno.ENODEV, () -> device.addFile(file(true)));
        refused(Errno.ENODEV, () -> device.deleteFile(file(true)));
        assertThat(machine.createVfioDevice().noncoherent()).isFalse();
    }

    @Test
    void theDeviceEndsWithItsMachine() {
        device.addFile(file(false));

        machine.close();

        assertThat(machine.noncoherentDmaCount()).isZero();
        refused(Errno.ENODEV, () -> device.addFile(file(true)));
    }
}
