// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import org.iommu4j.device.DeviceId;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.pcie.PlatformMaster;
import org.iommu4j.sim.pcie.RequestStatus;

/** A device's DMA, on PCI or not: words of 8 bytes at IOVAs aligned to 8. */
public interface Requester {
    /** Returns the requester of a machine's device. */
    static Requester of(Machine machine, DeviceId device) {
        return device instanceof PciAddress address
                ? new OnPci(machine.endpoint(address))
                : new OnPlatform(machine.master((NamedDevice) device));
    }

    /**
     * Reads a word.
     *
     * @param noSnoop whether the request is marked no-snoop; a device that is not on PCI can't mark it
     * @return the word; all ones when it was refused, see {@link #status}
     */
    long read(long iova, boolean noSnoop);

    /** Writes a word, and returns whether that was accepted. */
    boolean write(long iova, long value, boolean noSnoop);

    /** Returns what became of the last request. */
    RequestStatus status();

    /** Returns the unit's fault code for the last request, 0 when it refused nothing. */
    int fault();

    /** Returns whether requests can be marked no-snoop. */
    boolean marksNoSnoop();

    /** Returns another requester of the same device, whose requests carry a PASID. */
    Requester withPasid(int pasid);

    /** A function's. */
    record OnPci(Endpoint endpoint) implements Requester {
        @Override
        public long read(long iova, boolean noSnoop) {
            return endpoint.read(iova, noSnoop);
        }

        @Override
        public boolean write(long iova, long value, boolean noSnoop) {
            return endpoint.write(iova, value, noSnoop);
        }

        @Override
        public RequestStatus status() {
            return endpoint.lastStatus();
        }

        @Override
        public int fault() {
            return endpoint.lastFault();
        }

        @Override
        public boolean marksNoSnoop() {
            return true;
        }

        @Override
        public Requester withPasid(int pasid) {
            Endpoint other = endpoint.fork();
            other.usePasid(pasid);
            return new OnPci(other);
        }
    }

    /** A platform device's. */
    record OnPlatform(PlatformMaster master) implements Requester {
        @Override
        public long read(long iova, boolean noSnoop) {
            return master.read(iova, 0);
        }

        @Override
        public boolean write(long iova, long value, boolean noSnoop) {
            return master.write(iova, value, 0);
        }

        @Override
        public RequestStatus status() {
            return master.lastStatus();
        }

        @Override
        public int fault() {
            return master.lastFault();
        }

        @Override
        public boolean marksNoSnoop() {
            return false;
        }

        @Override
        public Requester withPasid(int pasid) {
            PlatformMaster other = master.fork();
            other.usePasid(pasid);
            return new OnPlatform(other);
        }
    }
}
