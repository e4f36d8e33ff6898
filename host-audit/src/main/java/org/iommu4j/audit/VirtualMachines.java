// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.iommu4j.host.Fact;
import org.iommu4j.host.HostEvidence;
import org.iommu4j.spi.Reason;

/**
 * Recognizes that a host is itself a virtual machine. It has an IOMMU only where its own host gives it one, and nothing
 * in its firmware's setup turns one on.
 *
 * <p>Source: Linux {@code arch/x86/kernel/cpu/hypervisor.c} (init_hypervisor_platform); pci.ids, vendors of virtual
 * devices.
 */
final class VirtualMachines {
    private static final Pattern DETECTED = Pattern.compile("Hypervisor detected: (KVM|VMware|Microsoft Hyper-V|ACRN)");

    /** Red Hat's virtio and QEMU, VMware, VirtualBox, Microsoft: no such function is of silicon. */
    private static final Set<Integer> VENDORS = Set.of(0x1af4, 0x1b36, 0x15ad, 0x80ee, 0x1414);

    private VirtualMachines() {}

    /** Returns how such a machine gets an IOMMU; empty for a host that is not known to be one. */
    static Optional<Reason> advice(HostEvidence evidence) {
        return evidence(evidence)
                .map(source -> new Reason(
                        "give this virtual machine an IOMMU on its own host: with QEMU intel-iommu,intremap=on on"
                                + " machine q35, or virtio-iommu; its firmware setup has no such switch",
                        source));
    }

    private static Optional<String> evidence(HostEvidence evidence) {
        return evidence.kernelLines().stream()
                .map(Fact::value)
                .map(DETECTED::matcher)
                .filter(Matcher::find)
                .map(Matcher::group)
                .findFirst()
                .or(() -> evidence.functions().stream()
                        .filter(function -> function.vendorId().isPresent()
                                && VENDORS.contains(function.vendorId().getAsInt()))
                        .map(function -> function.address() + " is a virtual device, "
                                + function.ids().orElse("by its vendor"))
                        .findFirst());
    }
}
