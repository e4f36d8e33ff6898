// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.qemu;

import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;
import org.iommu4j.LinuxRelease;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.RegisterSpace;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.pcie.RequestStatus;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.spi.VendorContext;

/** Hardware-sim's machine, with EDU devices for endpoints. */
final class SimulatedMachine implements DmaMachine {
    private final Machine machine;
    private final Map<PciAddress, DmaDevice> devices = new TreeMap<>();

    /**
     * Builds a machine.
     *
     * @param caches whether CPU caches are in front of memory
     */
    SimulatedMachine(MachineDescription description, boolean caches) {
        MachineFactory factory = MachineFactory.load();
        machine = caches ? factory.create(description) : factory.createFlat(description);
    }

    @Override
    public String name() {
        return "hardware-sim";
    }

    @Override
    public VendorContext vendorContext(LinuxRelease release) {
        return machine.vendorContext(release);
    }

    @Override
    public SystemMemory memory() {
        return machine.memory(0);
    }

    @Override
    public RegisterSpace registers() {
        return new SettlingRegisters(machine)::map;
    }

    @Override
    public long[] words(long physicalAddress, int count) {
        long[] words = new long[count];
        Arrays.setAll(words, i -> machine.memory(0).load(physicalAddress + i * 8L));
        return words;
    }

    @Override
    public DmaDevice device(PciAddress address) {
        return devices.computeIfAbsent(address, at -> new EndpointDevice(machine.endpoint(at)));
    }

    /** An endpoint with EDU's buffer. */
    private static final class EndpointDevice implements DmaDevice {
        private final Endpoint endpoint;
        private final long[] buffer = new long[BUFFER_WORDS];

        EndpointDevice(Endpoint endpoint) {
            this.endpoint = endpoint;
        }

        @Override
        public void read(long iova, int slot, int words) {
            for (int i = 0; i < words; i++) {
                long value = endpoint.read(iova + i * 8L, false);
                // No memory reads as all ones here, as on PCI, and as zeros in QEMU; tests store no such word.
                buffer[slot + i] = endpoint.lastStatus() == RequestStatus.DONE && value != -1L ? value : 0;
            }
        }

        @Override
        public void write(int slot, long iova, int words) {
            for (int i = 0; i < words; i++) {
                endpoint.write(iova + i * 8L, buffer[slot + i], false);
            }
        }
    }
}
