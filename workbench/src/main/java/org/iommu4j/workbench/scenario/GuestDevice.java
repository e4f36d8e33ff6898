// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

import org.iommu4j.kvm.Vcpu;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.trace.Trace;

/**
 * A device in a guest's hands: the guest's driver on a vCPU, and the buffer that both share.
 *
 * <p>The buffer is one page that the guest knows by a guest-physical address and the device by an IOVA; in memory it is at
 * a third address. Each exchange uses a word of its own, one line apart.
 */
public final class GuestDevice {
    private static final int LINE = 64;
    private static final int PAGE = 4096;

    private final Trace trace;
    private final Vcpu vcpu;
    private final Endpoint endpoint;
    private final long guestAddress;
    private final long iova;
    private int nextLine;

    GuestDevice(Trace trace, Vcpu vcpu, Endpoint endpoint, long guestAddress, long iova) {
        this.trace = trace;
        this.vcpu = vcpu;
        this.endpoint = endpoint;
        this.guestAddress = guestAddress;
        this.iova = iova;
    }

    /**
     * The CPU writes, the guest flushes if its driver thinks of it, and the device reads with no-snoop.
     *
     * @return what the device read
     */
    public long sendToDevice(long value, boolean flush) {
        int line = takeLine();
        onVcpu(() -> vcpu.store(guestAddress + line, value));
        if (flush) {
            wbinvd();
        }
        return DeviceAccess.read(endpoint, iova + line, true);
    }

    /**
     * The CPU reads, the device writes with no-snoop, the guest flushes if its driver thinks of it, and the CPU reads.
     *
     * @return what the CPU read last
     */
    public long receiveFromDevice(long value, boolean flush) {
        int line = takeLine();
        onVcpu(() -> vcpu.load(guestAddress + line));
        DeviceAccess.write(endpoint, iova + line, value, true);
        if (flush) {
            wbinvd();
        }
        long[] seen = new long[1];
        onVcpu(() -> seen[0] = vcpu.load(guestAddress + line));
        return seen[0];
    }

    /** Sets or clears Enable No Snoop in the device's Device Control, which VFIO lets a guest do. */
    public void enableNoSnoop(boolean enable) {
        DeviceAccess.enableNoSnoop(endpoint, enable);
    }

    private void wbinvd() {
        onVcpu(() -> {
            trace.guestWbinvd();
            vcpu.wbinvd();
        });
    }

    private void onVcpu(Runnable action) {
        trace.initiator("vcpu" + vcpu.id());
        try {
            action.run();
        } finally {
            trace.initiator("");
        }
    }

    private int takeLine() {
        int line = nextLine;
        nextLine += LINE;
        if (nextLine > PAGE) {
            throw new IllegalStateException("the case uses more than the " + PAGE / LINE + " lines of its buffer");
        }
        return line;
    }
}
