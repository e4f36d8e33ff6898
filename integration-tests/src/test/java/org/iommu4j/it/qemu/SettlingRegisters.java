// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.qemu;

import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.sim.machine.Machine;

/**
 * A simulated machine's registers for those who program them by hand: what a write asks for is done before it returns,
 * as on QEMU.
 */
record SettlingRegisters(Machine machine) {
    RegisterWindow map(long physicalBase, int size) {
        RegisterWindow window = machine.registers().map(physicalBase, size);
        return new RegisterWindow() {
            @Override
            public int read8(int offset) {
                return window.read8(offset);
            }

            @Override
            public int read16(int offset) {
                return window.read16(offset);
            }

            @Override
            public int read32(int offset) {
                return window.read32(offset);
            }

            @Override
            public long read64(int offset) {
                return window.read64(offset);
            }

            @Override
            public void write8(int offset, int value) {
                window.write8(offset, value);
                machine.runPending();
            }

            @Override
            public void write16(int offset, int value) {
                window.write16(offset, value);
                machine.runPending();
            }

            @Override
            public void write32(int offset, int value) {
                window.write32(offset, value);
                machine.runPending();
            }

            @Override
            public void write64(int offset, long value) {
                window.write64(offset, value);
                machine.runPending();
            }
        };
    }
}
