// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import static org.iommu4j.it.kernel.Replay.call;
import static org.iommu4j.it.kernel.Replay.hex;

import org.iommu4j.it.kernel.Replay.Answer;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.sim.machine.UserProcess;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.vfio.Vfio;
import org.iommu4j.vfio.VfioContainer;
import org.iommu4j.vfio.VfioDevice;
import org.iommu4j.vfio.VfioExtension;
import org.iommu4j.vfio.VfioGroup;

/** The part about containers of type 1 of the program that asked about two devices whose units differ. */
final class MixedProgram {
    private static final long PAGE = 4096;
    private static final long BUFFER = 0x7f00_0000_0000L;
    private static final long FIRST_IOVA = 0x100000;

    private final Replay out = new Replay();
    private final GuestMachine guest;
    private final UserProcess root;
    private final ProgramMemory memory;

    MixedProgram(GuestMachine guest) {
        this.guest = guest;
        root = guest.rootProcess();
        root.allocate(BUFFER, 4, true);
        memory = new ProgramMemory(guest.machine(), root);
    }

    /** Runs one section; with or without a mapping before the second group. */
    Replay run(boolean mapsBefore) {
        PciAddress first = guest.device("qdev");
        PciAddress second = guest.device("qdev2");
        Vfio vfio = guest.vfio(guest.options());
        VfioContainer c = vfio.openContainer(root);
        VfioGroup one = vfio.openGroup(guest.groupOf(first));
        VfioGroup two = vfio.openGroup(guest.groupOf(second));
        print("SET_CONTAINER 1st", call(() -> one.setContainer(c)));
        print("SET_IOMMU", call(() -> c.setIommu(VfioExtension.TYPE1V2_IOMMU)));
        coherency(c, "1st alone");
        if (mapsBefore) {
            map(c, FIRST_IOVA, 0);
        }
        coherency(c, "1st alone, after the flip");
        print("SET_CONTAINER 2nd", call(() -> two.setContainer(c)));
        coherency(c, "both");
        if (!mapsBefore) {
            map(c, FIRST_IOVA, 0);
        }
        map(c, 0x200000, 1);
        VfioDevice device = one.openDevice(first);
        VfioDevice other = two.openDevice(second);
        out.print("  GET_DEVICE_FD -> fd fd");
        dma(device, first, "first");
        dma(other, second, "second");
        one.closeDevice(device);
        two.closeDevice(other);
        print("UNSET_CONTAINER 1st", call(one::unsetContainer));
        coherency(c, "2nd alone");
        print("SET_CONTAINER 1st again", call(() -> one.setContainer(c)));
        coherency(c, "both");
        print("UNSET_CONTAINER 2nd", call(two::unsetContainer));
        coherency(c, "1st alone");
        Answer unmapped = call(() -> c.unmap(FIRST_IOVA, PAGE, 0));
        out.print(
                "  UNMAP iova=%s -> %d %s size_out=%s",
                hex(FIRST_IOVA),
                unmapped.succeeded() ? 0 : -1,
                unmapped.errno(),
                hex(unmapped.succeeded() ? unmapped.value() : PAGE));
        one.close();
        two.close();
        c.close();
        return out;
    }

    private void print(String what, Answer answer) {
        out.print("  %s -> %d %s", what, answer.value(), answer.errno());
    }

    private void coherency(VfioContainer container, String when) {
        print("VFIO_DMA_CC_IOMMU, " + when, call(() -> (long) container.checkExtension(VfioExtension.DMA_CC_IOMMU)));
    }

    private void map(VfioContainer container, long iova, int page) {
        print(
                "MAP iova=" + hex(iova),
                call(() -> container.map(
                        iova, BUFFER + page * PAGE, PAGE, VfioContainer.MAP_READ | VfioContainer.MAP_WRITE)));
    }

    private void dma(VfioDevice device, PciAddress address, String name) {
        ConfigSpace config = device.config();
        config.write(4, 2, config.read(4, 2) | 6);
        Endpoint edu = guest.machine().endpoint(address);
        memory.store(BUFFER, name);
        memory.store(BUFFER + 0x100, "");
        EduDevice.write(edu, FIRST_IOVA + 0x100, EduDevice.read(edu, FIRST_IOVA));
        out.print("  DMA by %s through iova %s: '%s'", name, hex(FIRST_IOVA), memory.string(BUFFER + 0x100));
    }
}
