// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import java.util.OptionalLong;
import java.util.Set;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciFunction;

/** Where the registers of a unit are that is a PCI function: behind its first BAR. */
final class FunctionRegisters {
    private static final int VENDOR_AND_DEVICE = 0;
    private static final int BAR_0 = 0x10;
    private static final int BAR_1 = 0x14;
    private static final int BAR_IS_IO = 1;
    private static final int BAR_KIND = 6;
    private static final int BAR_OF_64_BITS = 4;
    private static final int BAR_FLAGS = 0xf;

    /** PCI functions that the driver binds to, device id in 31:16: QEMU's and Rivos's. */
    private static final Set<Integer> FUNCTIONS = Set.of(0x0014_1b36, 0x0008_1efd);

    private FunctionRegisters() {}

    /** Returns their physical address; empty where the driver does not bind to the function. */
    static OptionalLong of(PciFunction function) {
        ConfigSpace config = function.config();
        int bar = config.read(BAR_0, 4);
        if (!FUNCTIONS.contains(config.read(VENDOR_AND_DEVICE, 4)) || (bar & BAR_IS_IO) != 0) {
            return OptionalLong.empty();
        }
        long high = (bar & BAR_KIND) == BAR_OF_64_BITS ? config.read(BAR_1, 4) : 0;
        return OptionalLong.of(high << 32 | (bar & ~BAR_FLAGS & 0xffff_ffffL));
    }
}
