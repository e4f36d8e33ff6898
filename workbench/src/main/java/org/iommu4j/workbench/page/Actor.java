// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.page;

import java.util.Map;
import org.iommu4j.workbench.scenario.AssignedBy;
import org.iommu4j.workbench.scenario.GuestIommu;
import org.jspecify.annotations.Nullable;

/** One that acts in a page, by its name there. The VMM, the scheduler and the hardware are always there. */
public sealed interface Actor {
    /** Actors that need not be declared, by their names. */
    Map<String, Actor> UNDECLARED = Map.of(
            "vmm", new Always(Kind.VMM),
            "scheduler", new Always(Kind.SCHEDULER),
            "hardware", new Always(Kind.HARDWARE));

    /** Returns the kind. */
    Kind kind();

    /** Kinds of actors; each has {@link Verb verbs} of its own. */
    enum Kind {
        /** A virtual CPU, with what its guest runs on it. */
        VCPU("a vCPU"),
        /** A device. */
        DEVICE("a device"),
        /** The host's kernel on a CPU. */
        HOST("a CPU of the host's kernel"),
        /** A process of the host on a CPU. */
        PROCESS("a process"),
        /** A domain of a kernel user's own. */
        DOMAIN("a domain"),
        /** A virtual machine. It acts through its vCPUs and the VMM. */
        VM("a virtual machine"),
        /** The process that runs the virtual machines. */
        VMM("the VMM"),
        /** The host's scheduler. */
        SCHEDULER("the scheduler"),
        /** Caches, which evict and prefetch when they like. */
        HARDWARE("the hardware");

        private final String words;

        Kind(String words) {
            this.words = words;
        }

        /** Returns the kind in words, with an article. */
        public String words() {
            return words;
        }
    }

    /**
     * A virtual CPU.
     *
     * @param vm the virtual machine's name
     * @param cpu the CPU on which it is made
     */
    record Vcpu(String vm, int cpu) implements Actor {
        @Override
        public Kind kind() {
            return Kind.VCPU;
        }
    }

    /**
     * A device.
     *
     * @param which which function of the machine
     * @param vm the virtual machine that has it from the start, null for none
     * @param in the domain in which it is from the start, null for none
     * @param driver its driver in the host
     * @param noSnoop whether its requests ask for no-snoop
     */
    record Device(
            Which which, @Nullable String vm, @Nullable String in, Driver driver, boolean noSnoop) implements Actor {
        @Override
        public Kind kind() {
            return Kind.DEVICE;
        }
    }

    /** Functions of a machine. */
    enum Which {
        /** The first endpoint. */
        FIRST,
        /** The first endpoint of another group. */
        SECOND,
        /** Another endpoint of the first one's group. */
        MATE
    }

    /** The driver that a device has in the host. */
    enum Driver {
        /** None. */
        NONE,
        /** One that does no DMA and lets others have the group. */
        PCI_STUB,
        /** VFIO's. */
        VFIO_PCI,
        /** One of the kernel's, on the DMA API. */
        KERNEL
    }

    /**
     * The host's kernel on a CPU.
     *
     * @param cpu the CPU
     */
    record Host(int cpu) implements Actor {
        @Override
        public Kind kind() {
            return Kind.HOST;
        }
    }

    /**
     * A process of the host.
     *
     * @param owner the name of its owner, which data carry
     * @param cpu the CPU on which it runs
     */
    record HostProcess(String owner, int cpu) implements Actor {
        @Override
        public Kind kind() {
            return Kind.PROCESS;
        }
    }

    /** A domain of a kernel user's own. */
    record Domain() implements Actor {
        @Override
        public Kind kind() {
            return Kind.DOMAIN;
        }
    }

    /**
     * A virtual machine.
     *
     * @param by how its devices are assigned
     * @param iommu what the IOMMU that its VMM shows it offers, null where it is shown none
     */
    record Vm(AssignedBy by, @Nullable GuestIommu iommu) implements Actor {
        @Override
        public Kind kind() {
            return Kind.VM;
        }
    }

    /**
     * One that is always there.
     *
     * @param kind its kind
     */
    record Always(Kind kind) implements Actor {}
}
