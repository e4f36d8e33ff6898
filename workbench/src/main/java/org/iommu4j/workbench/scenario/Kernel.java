// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

import java.util.List;
import java.util.Set;
import org.iommu4j.LinuxRelease;
import org.iommu4j.kvm.VirtualMachine;
import org.iommu4j.release.ReleaseRule;

/**
 * The Linux under which a case runs.
 *
 * @param release the release whose rules apply
 * @param allowUnsafeInterrupts whether VFIO assigns devices whose interrupts are not remapped: parameter {@code
 *     allow_unsafe_interrupts} of module {@code vfio_iommu_type1}
 * @param corrections names of KVM's rules that have the value which they propose, and no release's
 */
public record Kernel(LinuxRelease release, boolean allowUnsafeInterrupts, Set<String> corrections) {
    /** Copies the set. */
    public Kernel {
        corrections = Set.copyOf(corrections);
    }

    /** Makes one without corrections. */
    public Kernel(LinuxRelease release, boolean allowUnsafeInterrupts) {
        this(release, allowUnsafeInterrupts, Set.of());
    }

    /** Returns a release with Linux's default module parameters. */
    public static Kernel of(LinuxRelease release) {
        return new Kernel(release, false);
    }

    /**
     * Returns this kernel with corrections.
     *
     * @throws IllegalArgumentException when none of KVM's rules of that name proposes one; the message has those that do
     */
    public Kernel withCorrections(Set<String> names) {
        List<String> known = VirtualMachine.releaseRules().stream()
                .filter(rule -> !rule.proposed().isEmpty())
                .map(ReleaseRule::name)
                .toList();
        for (String name : names) {
            if (!known.contains(name)) {
                throw new IllegalArgumentException(
                        "no rule '" + name + "' of KVM proposes a correction; known: " + String.join(", ", known));
            }
        }
        return new Kernel(release, allowUnsafeInterrupts, names);
    }
}
