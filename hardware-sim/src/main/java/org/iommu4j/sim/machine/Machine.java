// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.machine;

import java.util.List;
import org.iommu4j.LinuxRelease;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.PciAddress;
import org.iommu4j.platform.PciTopology;
import org.iommu4j.platform.Processor;
import org.iommu4j.platform.RegisterSpace;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.platform.Waiter;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.trace.Trace;
import org.iommu4j.spi.VendorContext;

/** A simulated machine. */
public final class Machine {
    Machine() {}

    /** Returns what it was made from. */
    @SuppressWarnings({"all", "MissingOverride", "DoNotCallSuggester", "InlineMeSuggester"})
    public MachineDescription description() {
        throw new UnsupportedOperationException("skeleton");
    }

    /** Returns its CPUs. */
    @SuppressWarnings({"all", "MissingOverride", "DoNotCallSuggester", "InlineMeSuggester"})
    public List<Processor> processors() {
        throw new UnsupportedOperationException("skeleton");
    }

    /** Returns memory as one CPU sees it through its caches. */
    @SuppressWarnings({"all", "MissingOverride", "DoNotCallSuggester", "InlineMeSuggester"})
    public SystemMemory memory(int cpu) {
        throw new UnsupportedOperationException("skeleton");
    }

    /** Returns the kernel's frames. */
    @SuppressWarnings({"all", "MissingOverride", "DoNotCallSuggester", "InlineMeSuggester"})
    public FrameAllocator frames() {
        throw new UnsupportedOperationException("skeleton");
    }

    /** Returns the units' registers. */
    @SuppressWarnings({"all", "MissingOverride", "DoNotCallSuggester", "InlineMeSuggester"})
    public RegisterSpace registers() {
        throw new UnsupportedOperationException("skeleton");
    }

    /** Returns how to wait. */
    @SuppressWarnings({"all", "MissingOverride", "DoNotCallSuggester", "InlineMeSuggester"})
    public Waiter waiter() {
        throw new UnsupportedOperationException("skeleton");
    }

    /** Returns the PCI functions. */
    @SuppressWarnings({"all", "MissingOverride", "DoNotCallSuggester", "InlineMeSuggester"})
    public PciTopology topology() {
        throw new UnsupportedOperationException("skeleton");
    }

    /** Returns the ACPI tables. */
    @SuppressWarnings({"all", "MissingOverride", "DoNotCallSuggester", "InlineMeSuggester"})
    public FirmwareTables firmware() {
        throw new UnsupportedOperationException("skeleton");
    }

    /** Returns what a driver is opened on, its memory as CPU 0 sees it. */
    @SuppressWarnings({"all", "MissingOverride", "DoNotCallSuggester", "InlineMeSuggester"})
    public VendorContext vendorContext(LinuxRelease release) {
        throw new UnsupportedOperationException("skeleton");
    }

    /** Returns a device that can make requests. */
    @SuppressWarnings({"all", "MissingOverride", "DoNotCallSuggester", "InlineMeSuggester"})
    public Endpoint endpoint(PciAddress address) {
        throw new UnsupportedOperationException("skeleton");
    }

    /** Returns a unit by name. */
    @SuppressWarnings({"all", "MissingOverride", "DoNotCallSuggester", "InlineMeSuggester"})
    public TranslationUnit unit(String name) {
        throw new UnsupportedOperationException("skeleton");
    }

    /** Makes a user process. */
    @SuppressWarnings({"all", "MissingOverride", "DoNotCallSuggester", "InlineMeSuggester"})
    public UserProcess newProcess(long memlockPages, boolean capIpcLock) {
        throw new UnsupportedOperationException("skeleton");
    }

    /** Returns the recorder of events, off at first. */
    @SuppressWarnings({"all", "MissingOverride", "DoNotCallSuggester", "InlineMeSuggester"})
    public Trace trace() {
        throw new UnsupportedOperationException("skeleton");
    }

    /** Evicts a line from a CPU's private cache and from the shared one, to DRAM. */
    @SuppressWarnings({"all", "MissingOverride", "DoNotCallSuggester", "InlineMeSuggester"})
    public void evict(int cpu, long physicalAddress) {
        throw new UnsupportedOperationException("skeleton");
    }

    /** Takes a line into a CPU's private cache. */
    @SuppressWarnings({"all", "MissingOverride", "DoNotCallSuggester", "InlineMeSuggester"})
    public void prefetch(int cpu, long physicalAddress) {
        throw new UnsupportedOperationException("skeleton");
    }

    /** Reads DRAM past all caches. */
    @SuppressWarnings({"all", "MissingOverride", "DoNotCallSuggester", "InlineMeSuggester"})
    public long peekDram(long physicalAddress) {
        throw new UnsupportedOperationException("skeleton");
    }

    /** Writes back and empties all caches. */
    @SuppressWarnings({"all", "MissingOverride", "DoNotCallSuggester", "InlineMeSuggester"})
    public void drainCaches() {
        throw new UnsupportedOperationException("skeleton");
    }

    /** Does all pending work of the units. */
    @SuppressWarnings({"all", "MissingOverride", "DoNotCallSuggester", "InlineMeSuggester"})
    public void runPending() {
        throw new UnsupportedOperationException("skeleton");
    }

    /** Returns the machine to power-on. */
    @SuppressWarnings({"all", "MissingOverride", "DoNotCallSuggester", "InlineMeSuggester"})
    public void reset() {
        throw new UnsupportedOperationException("skeleton");
    }

    /** Returns a digest of all state. */
    @SuppressWarnings({"all", "MissingOverride", "DoNotCallSuggester", "InlineMeSuggester"})
    public long digest() {
        throw new UnsupportedOperationException("skeleton");
    }
}
