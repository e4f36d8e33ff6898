// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.sim.pcie.Endpoint;

/** Requests of a device that the case expects to be let through. */
public final class DeviceAccess {
    private static final int COMMAND = 4;
    private static final int BUS_MASTER = 1 << 2;
    private static final int DEVICE_CONTROL = 8;
    private static final int ENABLE_NO_SNOOP = 1 << 11;

    private DeviceAccess() {}

    /** Reads a word; a refusal by the IOMMU is a bug of the driver or the unit. */
    public static long read(Endpoint endpoint, long iova, boolean noSnoop) {
        long value = endpoint.read(iova, noSnoop);
        check(endpoint, iova, "read");
        return value;
    }

    /** Writes a word; a refusal by the IOMMU is a bug of the driver or the unit. */
    public static void write(Endpoint endpoint, long iova, long value, boolean noSnoop) {
        endpoint.write(iova, value, noSnoop);
        check(endpoint, iova, "write");
    }

    /** A driver has its device send requests. */
    public static void enableBusMaster(ConfigSpace config) {
        config.write(COMMAND, 2, config.read(COMMAND, 2) | BUS_MASTER);
    }

    /** A device without a PCI Express capability has no such control and never sends no-snoop. */
    public static void enableNoSnoop(ConfigSpace config, boolean enable) {
        int capability = config.findCapability(ConfigSpace.CAPABILITY_PCI_EXPRESS);
        if (capability != 0) {
            int control = config.read(capability + DEVICE_CONTROL, 2);
            config.write(
                    capability + DEVICE_CONTROL, 2, enable ? control | ENABLE_NO_SNOOP : control & ~ENABLE_NO_SNOOP);
        }
    }

    private static void check(Endpoint endpoint, long iova, String what) {
        if (endpoint.lastFault() != 0) {
            throw new UnexpectedFaultException(endpoint.address() + ": the IOMMU refused a " + what + " of IOVA 0x"
                    + Long.toHexString(iova) + " with fault 0x" + Integer.toHexString(endpoint.lastFault())
                    + ", expected it to be mapped");
        }
    }
}
