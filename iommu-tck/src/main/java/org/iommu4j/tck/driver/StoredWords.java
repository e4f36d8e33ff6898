// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import java.util.LinkedHashSet;
import java.util.Set;
import org.iommu4j.IommuDomain;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Subject;

/** Which words a driver stores into its tables when a device is attached and a page is mapped. */
final class StoredWords {
    private static final int MOST = 8;

    private StoredWords() {}

    /** Returns some words of a driver's, and all ones. */
    static Set<Long> of(Subject subject) {
        SteppedMemory[] memory = new SteppedMemory[1];
        Bench bench = new Bench(subject.flat().withPorts(context -> {
            memory[0] = new SteppedMemory(context.memory());
            return context.withMemory(memory[0]);
        }));
        Set<Long> words = new LinkedHashSet<>();
        IommuDomain domain = bench.domain();
        memory[0].tell((access, address, value) -> {
            if (access.stores() && value != 0 && words.size() < MOST) {
                words.add(value);
            }
        });
        domain.map(bench.iova(), bench.scratch(), bench.granule(), 1, Bench.READ_WRITE);
        bench.attach(domain, bench.device());
        words.add(-1L);
        return words;
    }
}
