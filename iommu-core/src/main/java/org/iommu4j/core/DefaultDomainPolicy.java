// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.core;

import java.util.Objects;
import org.iommu4j.platform.Architecture;
import org.iommu4j.spi.BootOptions;

/**
 * The kind of a group's default domain: what the kernel's command line chooses for all groups, and {@code type} in
 * sysfs for one.
 *
 * <p>Source: {@code iommu_subsys_init}, {@code iommu_group_store_type}.
 */
public enum DefaultDomainPolicy {
    /** The DMA API's page tables; each unmap waits until the hardware has forgotten the range: strict. */
    DMA("DMA"),
    /** The DMA API's page tables; unmaps wait together in a queue, and the hardware is flushed later: lazy. */
    DMA_FQ("DMA-FQ"),
    /** Addresses pass unchanged, except for devices that are not trusted. */
    PASSTHROUGH("identity");

    private final String sysfsType;

    DefaultDomainPolicy(String sysfsType) {
        this.sysfsType = sysfsType;
    }

    /** Returns the word for it in {@code /sys/kernel/iommu_groups/N/type}. */
    public String sysfsType() {
        return sysfsType;
    }

    /**
     * Returns what a kernel chooses that was built with the defaults of its architecture: lazy on x86, else strict.
     *
     * <p>{@code iommu.passthrough}, and on x86 {@code iommu=pt} and {@code iommu=nopt}, choose whether addresses pass
     * unchanged; the last one takes precedence. {@code iommu.strict}, {@code intel_iommu=strict} and {@code
     * amd_iommu=fullflush} choose between the other two.
     *
     * <p>Source: {@code iommu_set_def_domain_type}, {@code iommu_dma_setup}, {@code iommu_set_dma_strict}, and the
     * choice in {@code drivers/iommu/Kconfig}.
     */
    public static DefaultDomainPolicy of(BootOptions boot, Architecture architecture) {
        Objects.requireNonNull(boot, "boot");
        Objects.requireNonNull(architecture, "architecture");
        boolean x86 = architecture == Architecture.X86_64;
        boolean passthrough = false;
        for (String word : boot.commandLine().split("\\s+", -1)) {
            if (x86 && word.startsWith("iommu=")) {
                for (String value : word.substring("iommu=".length()).split(",", -1)) {
                    passthrough = value.equals("pt") || (passthrough && !value.equals("nopt"));
                }
            } else if (word.startsWith("iommu.passthrough=")) {
                passthrough = new BootOptions(word).isSet("iommu.passthrough");
            }
        }
        if (passthrough) {
            return PASSTHROUGH;
        }
        boolean strict = boot.isGiven("iommu.strict") ? boot.isSet("iommu.strict") : !x86;
        return strict || boot.has("intel_iommu", "strict") || boot.has("amd_iommu", "fullflush") ? DMA : DMA_FQ;
    }
}
