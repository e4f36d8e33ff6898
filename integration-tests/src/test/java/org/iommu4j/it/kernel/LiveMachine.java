// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

import java.util.List;
import java.util.function.Function;
import org.iommu4j.it.qemu.Qemu;

/** A machine of QEMU that live kernels are booted on. */
enum LiveMachine {
    /** VT-d with snoop control. */
    INTEL(qemu -> "intel-iommu,snoop-control=on", "intel_iommu=on", 0),
    /** VT-d without it. */
    INTEL_WITHOUT_SNOOP_CONTROL(qemu -> "intel-iommu,snoop-control=off", "intel_iommu=on", 0),
    /**
     * VT-d in scalable mode, of which the kernel believes that it nests, records written pages (SSADS) and walks its
     * tables coherently (SMPWC). QEMU's does none of it: what the driver allocates and answers is compared, and nobody
     * does DMA.
     */
    INTEL_NESTING(
            qemu -> "intel-iommu,x-scalable-mode=on,aw-bits=48,snoop-control=on",
            "intel_iommu=on,sm_on",
            1L << 26 | 1L << 45 | 1L << 48),
    /** AMD-Vi with v1 tables. */
    AMD(Qemu::amdViUnit, "amd_iommu=pgtbl_v1", 0);

    @SuppressWarnings("ImmutableEnumChecker") // functions without state
    private final Function<Qemu, String> unit;

    private final String option;
    private final long believed;

    LiveMachine(Function<Qemu, String> unit, String option, long believed) {
        this.unit = unit;
        this.option = option;
        this.believed = believed;
    }

    /** Returns the bits of ECAP that the unit does not have and the kernel is made to believe in. */
    long believed() {
        return believed;
    }

    /** Returns a QEMU's device for its unit. */
    String unit(Qemu qemu) {
        return unit.apply(qemu);
    }

    /** Returns the properties of virtio devices: on Intel they do DMA through the unit. */
    String virtio() {
        return this == AMD ? "disable-legacy=on" : "disable-legacy=on,iommu_platform=on";
    }

    /**
     * Returns QEMU's options for the port of the chardev {@code answers}. On AMD interrupts of the I/O APIC get lost:
     * the kernel has it send indexes for remapping, and QEMU 10.0.2 does not send them through the unit (see
     * docs/testing.md). Message-signalled ones arrive.
     */
    List<String> port() {
        return this == AMD
                ? List.of(
                        "-device",
                        "virtio-serial-pci,addr=0d.0," + virtio(),
                        "-device",
                        "virtserialport,chardev=answers")
                : List.of("-serial", "chardev:answers");
    }

    /** Returns the kernel's options. The third of the virtio devices, which are counted from 0, has a port 1. */
    String options() {
        return option + " answers=" + (this == AMD ? "/dev/vport2p1" : "/dev/ttyS1");
    }

    /**
     * Returns whether its unit knows a device behind a bridge by the id that the specification gives it. Where it does
     * not, such devices have another's table entry, and do no DMA.
     */
    boolean knowsBuses() {
        return this != AMD;
    }

    /** Returns whether the unit does what the kernel believes, so that DMA can be compared. */
    boolean doesDma() {
        return believed == 0;
    }
}
