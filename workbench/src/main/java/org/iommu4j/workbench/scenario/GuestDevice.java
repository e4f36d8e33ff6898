// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.sim.pcie.Endpoint;

/**
 * A device in a guest's hands: the guest's driver on a vCPU, and the buffer that both share.
 *
 * <p>The buffer is one page that the guest knows by a guest-physical address and the device by an IOVA; in memory it is
 * at a third address. The guest maps it write-back by default. Each exchange uses a word of its own, one
 * line apart.
 */
public final class GuestDevice {
    private static final int LINE = 64;
    private static final int PAGE = 4096;

    private final GuestCpu cpu;
    private final Endpoint endpoint;
    private final ConfigSpace config;
    private final long guestAddress;
    private final long iova;
    private MemoryType mapped = MemoryType.WB;
    private int nextLine;

    /**
     * The guest's driver finds its device, and has it send requests with no-snoop.
     *
     * @param config the device's configuration space as the guest has it
     */
    GuestDevice(GuestCpu cpu, Endpoint endpoint, ConfigSpace config, long guestAddress, long iova) {
        this.cpu = cpu;
        this.endpoint = endpoint;
        this.config = config;
        this.guestAddress = guestAddress;
        this.iova = iova;
        DeviceAccess.enableBusMaster(config);
        enableNoSnoop(true);
    }

    /** The guest's driver maps the buffer with another type from now on; KVM decides whether that has an effect. */
    public void mapBuffer(MemoryType type) {
        mapped = type;
    }

    /**
     * The CPU writes, the guest flushes if its driver does so, and the device reads with no-snoop.
     *
     * @return what the device read
     */
    public long sendToDevice(long value, boolean flush) {
        int line = store(value);
        if (flush) {
            wbinvd();
        }
        return deviceRead(line);
    }

    /**
     * The CPU reads, the device writes with no-snoop, the guest flushes if its driver does so, and the CPU reads.
     *
     * @return what the CPU read last
     */
    public long receiveFromDevice(long value, boolean flush) {
        int line = takeLine();
        cpu.load(guestAddress + line, mapped);
        DeviceAccess.write(endpoint, iova + line, value, true);
        if (flush) {
            wbinvd();
        }
        return cpu.load(guestAddress + line, mapped);
    }

    /**
     * The CPU writes a word of its own: the first half of {@link #sendToDevice}.
     *
     * @return the word's offset in the buffer
     */
    public int store(long value) {
        int line = takeLine();
        cpu.store(guestAddress + line, value, mapped);
        return line;
    }

    /** The guest executes WBINVD. */
    public void wbinvd() {
        cpu.wbinvd();
    }

    /**
     * The device reads with no-snoop.
     *
     * @param offset of the word in the buffer
     */
    public long deviceRead(int offset) {
        return DeviceAccess.read(endpoint, iova + offset, true);
    }

    /** Sets or clears Enable No Snoop in the device's Device Control, which VFIO lets a guest do. */
    public void enableNoSnoop(boolean enable) {
        DeviceAccess.enableNoSnoop(config, enable);
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
