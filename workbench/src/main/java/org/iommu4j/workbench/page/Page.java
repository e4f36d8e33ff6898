// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.page;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.iommu4j.LinuxRelease;
import org.jspecify.annotations.Nullable;

/**
 * A case as it is written.
 *
 * @param file the file from which it was read, for messages
 * @param name the case's name
 * @param about what it is about, in one line
 * @param story the mechanism in some sentences, null for none
 * @param sources where it comes from
 * @param fixedBy the change that ended it, null for none
 * @param actors the actors by their names, in order
 * @param memory the pages of memory by their names, in order
 * @param steps the steps, in order; none where there are programs
 * @param expectations what is expected; the first that fits a machine and a release holds
 * @param programs what there is in place of steps and expectations, null for none
 */
public record Page(
        String file,
        String name,
        String about,
        @Nullable String story,
        List<String> sources,
        @Nullable String fixedBy,
        Map<String, Actor> actors,
        Map<String, Memory> memory,
        List<Step> steps,
        List<Expectation> expectations,
        @Nullable Programs programs) {
    /** Copies what can change; the maps keep their order. */
    public Page {
        sources = List.copyOf(sources);
        actors = Collections.unmodifiableMap(new LinkedHashMap<>(actors));
        memory = Collections.unmodifiableMap(new LinkedHashMap<>(memory));
        steps = List.copyOf(steps);
        expectations = List.copyOf(expectations);
    }

    /**
     * A page of memory, 4 KiB, all zeros at first.
     *
     * @param owner the actor that has it: a virtual machine, a process, a domain, a device with a kernel driver; or
     *     {@link #IOMMU_DRIVER}
     * @param then the virtual machine that gets it later, null for none
     */
    public record Memory(String owner, @Nullable String then) {
        /** Owns all lines that the IOMMU's driver writes: tables, queues. Caches may evict them, all together. */
        public static final String IOMMU_DRIVER = "driver";

        /** Returns whether it is what the IOMMU's driver writes, and no page. */
        public boolean isOfDriver() {
            return owner.equals(IOMMU_DRIVER);
        }
    }

    /** Returns the page with steps, in place of what it has, and nothing that is expected. */
    public Page withSteps(List<Step> others) {
        return new Page(file, name, about, story, sources, fixedBy, actors, memory, others, List.of(), null);
    }

    /** Returns the expectation for a machine and a release; empty when none fits. */
    public Optional<Expectation> expectation(String machine, LinuxRelease release) {
        return expectations.stream().filter(each -> each.fits(machine, release)).findFirst();
    }
}
