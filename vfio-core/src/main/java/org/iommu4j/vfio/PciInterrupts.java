// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.pci.ConfigSpace;

/**
 * The kinds of interrupts of a PCI function, by its capabilities.
 *
 * <p>Source: {@code vfio_pci_ioctl_get_irq_info}, {@code vfio_pci_get_irq_count}.
 */
final class PciInterrupts {
    /** How many kinds there are: INTx, MSI, MSI-X, errors and requests to give the device back. */
    static final int COUNT = 5;

    private static final int INTX = 0;
    private static final int MSI = 1;
    private static final int MSI_X = 2;
    private static final int ERROR = 3;

    private static final int INTERRUPT_PIN = 0x3d;
    private static final int CAPABILITY_MSI = 0x05;
    static final int CAPABILITY_MSI_X = 0x11;
    private static final int CONTROL = 2;

    private PciInterrupts() {}

    /**
     * Returns what is said of a kind.
     *
     * @param virtual whether it is a virtual function, which has no pin
     * @param growing whether vectors of MSI-X can be added while others are in use
     * @throws IommuException EINVAL (no such kind, or errors of a function that is not PCI Express)
     */
    static VfioInterruptInfo info(ConfigSpace config, int index, boolean virtual, boolean growing) {
        boolean express = config.findCapability(ConfigSpace.CAPABILITY_PCI_EXPRESS) != 0;
        if (index < 0 || index >= COUNT || (index == ERROR && !express)) {
            throw new IommuException(Errno.EINVAL, "interrupts of kind " + Integer.toUnsignedString(index));
        }
        int count = switch (index) {
            case INTX -> virtual || config.read(INTERRUPT_PIN, 1) == 0 ? 0 : 1;
            case MSI -> messages(config);
            case MSI_X -> vectors(config);
            default -> 1;
        };
        int flags = VfioInterruptInfo.EVENTFD;
        if (index == INTX) {
            flags |= VfioInterruptInfo.MASKABLE | VfioInterruptInfo.AUTOMASKED;
        } else if (index != MSI_X || !growing || config.findCapability(CAPABILITY_MSI_X) == 0) {
            flags |= VfioInterruptInfo.NORESIZE;
        }
        return new VfioInterruptInfo(flags, index, count);
    }

    private static int messages(ConfigSpace config) {
        int capability = config.findCapability(CAPABILITY_MSI);
        return capability == 0 ? 0 : 1 << ((config.read(capability + CONTROL, 2) >>> 1) & 0x7);
    }

    private static int vectors(ConfigSpace config) {
        int capability = config.findCapability(CAPABILITY_MSI_X);
        return capability == 0 ? 0 : (config.read(capability + CONTROL, 2) & 0x7ff) + 1;
    }
}
