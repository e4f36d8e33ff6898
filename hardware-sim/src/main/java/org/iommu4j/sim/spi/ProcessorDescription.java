// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.spi;

import java.util.Objects;
import org.iommu4j.platform.Architecture;
import org.iommu4j.platform.HardwareVirtualization;

/**
 * The CPUs of a machine, all alike.
 *
 * @param cpus number of logical CPUs, 1 to 64
 * @param architecture their instruction set
 * @param virtualization their virtualization extension; those that have a name here are x86's, so NONE on all others
 * @param caches sizes of the caches
 * @param features what the caches do where processors differ
 */
public record ProcessorDescription(
        int cpus,
        Architecture architecture,
        HardwareVirtualization virtualization,
        CacheGeometry caches,
        CacheFeatures features) {
    /**
     * Checks the values.
     *
     * @throws IllegalArgumentException when the number of CPUs is out of range, or the architecture lacks the
     *     virtualization extension
     */
    public ProcessorDescription {
        Objects.requireNonNull(architecture, "architecture");
        Objects.requireNonNull(virtualization, "virtualization");
        Objects.requireNonNull(caches, "caches");
        Objects.requireNonNull(features, "features");
        if (cpus < 1 || cpus > 64) {
            throw new IllegalArgumentException(cpus + " CPUs, expected 1 to 64");
        }
        if (architecture != Architecture.X86_64 && virtualization != HardwareVirtualization.NONE) {
            throw new IllegalArgumentException("CPUs of " + architecture + " have no " + virtualization);
        }
    }

    /** Describes CPUs with {@link CacheFeatures#ORDINARY}. */
    public ProcessorDescription(
            int cpus, Architecture architecture, HardwareVirtualization virtualization, CacheGeometry caches) {
        this(cpus, architecture, virtualization, caches, CacheFeatures.ORDINARY);
    }

    /** Describes CPUs of x86 with {@link CacheFeatures#ORDINARY}. */
    public static ProcessorDescription x86(int cpus, HardwareVirtualization virtualization, CacheGeometry caches) {
        return new ProcessorDescription(cpus, Architecture.X86_64, virtualization, caches);
    }

    /** Returns the same CPUs with other features of their caches. */
    public ProcessorDescription withFeatures(CacheFeatures newFeatures) {
        return new ProcessorDescription(cpus, architecture, virtualization, caches, newFeatures);
    }

    /**
     * Checks that the CPUs have an instruction which only x86 has.
     *
     * @throws IllegalStateException when they have not
     */
    public void requireX86(String instruction) {
        Objects.requireNonNull(instruction, "instruction");
        if (architecture != Architecture.X86_64) {
            throw new IllegalStateException("a CPU of " + architecture + " has no instruction " + instruction);
        }
    }
}
