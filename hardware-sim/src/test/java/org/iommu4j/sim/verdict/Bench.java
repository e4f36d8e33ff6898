// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.verdict;

import java.util.HashMap;
import java.util.Map;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.platform.Processor;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.trace.Trace;

/**
 * A machine whose trace is judged. Without a driver the translation unit is off and a device's addresses are physical.
 *
 * <p>The first GPU and {@code vcpu0} and {@code vcpu1} are virtual machine vm0's, {@code vm1.vcpu0} is vm1's. The
 * second GPU is the host's unless it is given away.
 */
final class Bench {
    static final long WORD = 0x0800_0000L;

    /** Another word of the same line. */
    static final long NEIGHBOUR = WORD + 8;

    private static final MachineFactory MACHINES = MachineFactory.load();

    final Machine machine;
    final Trace trace;
    final Processor cpu;
    final Endpoint gpu;
    final Endpoint secondGpu;
    private final Map<String, Owner> owners = new HashMap<>(Map.of(
            "vcpu0",
            Owner.guest("vm0"),
            "vcpu1",
            Owner.guest("vm0"),
            BuiltInTopology.GPU.toString(),
            Owner.guest("vm0"),
            "vm1.vcpu0",
            Owner.guest("vm1")));

    Bench() {
        this("intel-nosc");
    }

    Bench(String name) {
        machine = MACHINES.create(MACHINES.named(name));
        trace = machine.trace();
        cpu = machine.processors().get(0);
        gpu = sender(BuiltInTopology.GPU);
        secondGpu = sender(BuiltInTopology.SECOND_GPU);
        trace.start();
    }

    /** Gives the second GPU to vm1. */
    void assignSecondGpu() {
        owners.put(BuiltInTopology.SECOND_GPU.toString(), Owner.guest("vm1"));
    }

    private Endpoint sender(PciAddress address) {
        Endpoint endpoint = machine.endpoint(address);
        ConfigSpace config = endpoint.config();
        int control = config.findCapability(ConfigSpace.CAPABILITY_PCI_EXPRESS) + 8;
        config.write(control, 2, config.read(control, 2) | 1 << 11);
        return endpoint;
    }

    /** Whoever is named loads a word that it has mapped write-back. */
    long load(String who, long address) {
        return load(who, address, MemoryType.WB, MemoryType.WB);
    }

    /** Whoever is named loads a word of one type that it wished to have another. */
    long load(String who, long address, MemoryType type, MemoryType wished) {
        trace.initiator(who, wished);
        long value = cpu.load(address, type);
        trace.initiator("");
        return value;
    }

    /** Whoever is named stores a word that it has mapped write-back, and returns the event. */
    int store(String who, long address, long value) {
        return store(who, address, value, MemoryType.WB, MemoryType.WB);
    }

    /** Whoever is named stores a word of one type that it wished to have another, and returns the event. */
    int store(String who, long address, long value, MemoryType type, MemoryType wished) {
        trace.initiator(who, wished);
        cpu.store(address, value, type);
        trace.initiator("");
        return trace.size() - 1;
    }

    /** Stores a word so that it is in memory and in no cache. */
    void storeToMemory(String who, long address, long value) {
        store(who, address, value);
        cpu.clflush(address);
    }

    /** A guest executes WBINVD and its host does nothing; returns the event. */
    int wbinvdInVain(String who) {
        trace.initiator(who);
        trace.guestWbinvd();
        trace.initiator("");
        return trace.size() - 1;
    }

    /** Changes a word behind the trace's back. */
    void unseen(long address, long value) {
        trace.stop();
        cpu.store(address, value, MemoryType.WB);
        trace.start();
    }

    /** Judges; events are known by ten times their number, and the end as well. */
    Findings check() {
        return CoherenceChecker.check(
                machine, event -> event * 10, event -> owners.getOrDefault(trace.who(event), Owner.HOST));
    }

    /** Judges what must have exactly one stale read. */
    StaleRead onlyStaleRead() {
        Findings findings = check();
        if (findings.staleReads().size() != 1) {
            throw new AssertionError("expected one stale read: " + findings);
        }
        return findings.staleReads().get(0);
    }
}
