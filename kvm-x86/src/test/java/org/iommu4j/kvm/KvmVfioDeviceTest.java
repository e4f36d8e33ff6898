// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.kvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.mockito.Mockito.clearInvocations;
import static org.mockito.Mockito.doThrow;
import static org.mockito.Mockito.mock;
import static org.mockito.Mockito.never;
import static org.mockito.Mockito.times;
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
        refused(Errno.EBADF, () -> device.addFile(file(true)));
        refused(Errno.EBADF, () -> device.deleteFile(file(true)));
        assertThat(machine.createVfioDevice().noncoherent()).isFalse();
    }

    /** The last test of the files is the device's own, whatever became of the machine's file. */
    @Test
    void theDeviceOutlivesItsMachinesFile() {
        device.addFile(file(false));

        machine.close();
        assertThat(machine.noncoherentDmaCount()).isEqualTo(1);
        device.addFile(file(true));
        refused(Errno.EBADF, machine::createVfioDevice);
        refused(Errno.EBADF, () -> machine.addMemory(0, 0, 0x1000, 0));

        device.close();
        assertThat(machine.noncoherentDmaCount()).isZero();
        assertThat(machine.registrations()).isEqualTo(1);
    }

    @Test
    void oneDeviceIsMadeAndATestMakesNone() {
        assertThat(machine.createDevice(VirtualMachine.DEVICE_TYPE_VFIO, VirtualMachine.CREATE_DEVICE_TEST))
                .isEmpty();
        refused(Errno.EBUSY, () -> machine.createDevice(VirtualMachine.DEVICE_TYPE_VFIO, 0));
        refused(Errno.ENODEV, () -> machine.createDevice(5, 0));
        device.close();
        assertThat(machine.createDevice(VirtualMachine.DEVICE_TYPE_VFIO, 2)).isPresent();
    }

    @Test
    void attributesAddAndDelete() {
        VfioFile file = file(false);
        for (int group = 0; group < 3; group++) {
            for (long attribute = 0; attribute < 5; attribute++) {
                int g = group;
                long a = attribute;
                if (g == 1 && (a == 1 || a == 2)) {
                    device.requireAttribute(g, a);
                    refused(Errno.EFAULT, () -> device.setAttribute(g, a, null));
                } else {
                    refused(Errno.ENXIO, () -> device.requireAttribute(g, a));
                    refused(Errno.ENXIO, () -> device.setAttribute(g, a, null));
                }
                refused(Errno.EPERM, () -> device.readAttribute(g, a));
            }
        }
        device.setAttribute(KvmVfioDevice.FILES, KvmVfioDevice.ADD, new KvmVfioDevice.FileNumber(file));
        assertThat(machine.noncoherentDma()).isTrue();
        device.setAttribute(KvmVfioDevice.FILES, KvmVfioDevice.DELETE, new KvmVfioDevice.FileNumber(file));
        assertThat(machine.noncoherentDma()).isFalse();
    }

    @Test
    void aNumberOfNoFileAndAFileOfAnotherKindAreRefused() {
        refused(Errno.EBADF, () -> device.addFile(null));
        refused(Errno.EBADF, () -> device.deleteFile(null));
        refused(Errno.EINVAL, () -> device.addFile(machine));
        refused(Errno.ENOENT, () -> device.deleteFile(machine));
    }

    @Test
    void aFileIsHeldFromAddToDelete() {
        VfioFile file = file(true);
        VfioFile other = file(true);
        device.addFile(file);
        device.addFile(other);
        verify(file, times(1)).hold();
        verify(file, never()).drop();
        refused(Errno.EEXIST, () -> device.addFile(file));
        verify(file, times(1)).drop();

        device.deleteFile(file);
        verify(file, times(3)).hold();
        verify(file, times(3)).drop();
        device.close();
        verify(other, times(1)).drop();
    }

    @Test
    void aFileThatItsUserClosedCannotBeNamed() {
        VfioFile file = file(true);
        device.addFile(file);
        doThrow(new IommuException(Errno.EBADF, "closed")).when(file).hold();

        refused(Errno.EBADF, () -> device.deleteFile(file));
        refused(Errno.EBADF, () -> device.addFile(file));
        verify(file, never()).drop();
    }

    @Test
    void allFilesAreDroppedAlthoughOneOfThemFails() {
        VfioFile failing = file(true);
        VfioFile other = file(false);
        device.addFile(failing);
        device.addFile(other);
        doThrow(new IommuException(Errno.ETIMEDOUT, "an invalidation did not complete"))
                .when(failing)
                .drop();

        refused(Errno.ETIMEDOUT, device::close);

        verify(other).drop();
        assertThat(machine.noncoherentDmaCount()).isZero();
        assertThat(machine.createVfioDevice()).isNotSameAs(device);
    }
}
