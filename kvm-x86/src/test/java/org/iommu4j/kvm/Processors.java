// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.kvm;

import static org.mockito.Mockito.lenient;
import static org.mockito.Mockito.mock;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.platform.Processor;

/** Hosts whose processors record what they are told. */
final class Processors {
    private Processors() {}

    static List<Processor> of(HardwareVirtualization virtualization, int count) {
        List<Boolean> selfSnoop = Collections.nCopies(count, true);
        return of(virtualization, selfSnoop);
    }

    /** Makes as many as there are answers whether one has self-snoop. */
    static List<Processor> of(HardwareVirtualization virtualization, List<Boolean> selfSnoop) {
        List<Processor> processors = new ArrayList<>();
        for (int i = 0; i < selfSnoop.size(); i++) {
            Processor processor = mock(Processor.class, "cpu" + i);
            lenient().when(processor.id()).thenReturn(i);
            lenient().when(processor.virtualization()).thenReturn(virtualization);
            lenient().when(processor.selfSnoop()).thenReturn(selfSnoop.get(i));
            processors.add(processor);
        }
        return processors;
    }
}
