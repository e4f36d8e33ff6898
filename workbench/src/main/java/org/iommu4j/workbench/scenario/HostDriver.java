// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

import org.iommu4j.dma.DmaDevice;
import org.iommu4j.dma.DmaDirection;
import org.iommu4j.platform.Architecture;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.platform.Processor;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.pcie.Endpoint;

/**
 * A kernel driver that lets its device use no-snoop and keeps the caches in step itself, as i915 does.
 *
 * <p>It works on two CPUs: one writes, another reads, so that flushing has to reach both. Source: {@code
 * drm_clflush_virt_range} and {@code wbinvd_on_all_cpus} in i915.
 *
 * <p>Linux has these flushes for x86 alone. For the other architectures here they only warn ({@code drm_cache.c}), so
 * that there the machine decides whether the data is right.
 */
public final class HostDriver {
    private static final int LINE = 64;
    private static final int PAGE = 4096;

    private final Machine machine;
    private final Endpoint endpoint;
    private final long page;
    private final long iova;
    private final boolean flushes;
    private int nextLine;

    HostDriver(Machine machine, Endpoint endpoint, DmaDevice dma) {
        this.machine = machine;
        this.endpoint = endpoint;
        this.page = machine.frames().allocate(0);
        this.iova = dma.mapPage(page, DmaDirection.BIDIRECTIONAL);
        Architecture architecture = machine.description().processors().architecture();
        this.flushes = architecture == Architecture.X86_64;
        if (!flushes) {
            machine.trace().note("Linux has no flush of cache lines for drivers on " + architecture);
        }
        DeviceAccess.enableBusMaster(endpoint.config());
        DeviceAccess.enableNoSnoop(endpoint.config(), true);
    }

    /** A CPU writes, the driver flushes the line, the device reads with no-snoop. */
    public void sendFlushingLines(long value) {
        int line = takeLine();
        writer().store(page + line, value, MemoryType.WB);
        flushLine(writer(), page + line);
        DeviceAccess.read(endpoint, iova + line, true);
    }

    /** A CPU reads, the device writes with no-snoop, the driver flushes the line, the CPU reads. */
    public void receiveFlushingLines(long value) {
        int line = takeLine();
        reader().load(page + line, MemoryType.WB);
        DeviceAccess.write(endpoint, iova + line, value, true);
        flushLine(reader(), page + line);
        reader().load(page + line, MemoryType.WB);
    }

    /** As {@link #sendFlushingLines}, with WBINVD on every CPU. */
    public void sendFlushingAll(long value) {
        int line = takeLine();
        writer().store(page + line, value, MemoryType.WB);
        wbinvdOnAllCpus();
        DeviceAccess.read(endpoint, iova + line, true);
    }

    /** As {@link #receiveFlushingLines}, with WBINVD on every CPU. */
    public void receiveFlushingAll(long value) {
        int line = takeLine();
        reader().load(page + line, MemoryType.WB);
        DeviceAccess.write(endpoint, iova + line, value, true);
        wbinvdOnAllCpus();
        reader().load(page + line, MemoryType.WB);
    }

    private Processor writer() {
        return machine.processors().get(0);
    }

    private Processor reader() {
        return machine.processors().get(machine.processors().size() - 1);
    }

    private void flushLine(Processor cpu, long physicalAddress) {
        if (!flushes) {
            return;
        }
        cpu.mfence();
        cpu.clflush(physicalAddress);
        cpu.mfence();
    }

    private void wbinvdOnAllCpus() {
        if (flushes) {
            machine.processors().forEach(Processor::wbinvd);
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
