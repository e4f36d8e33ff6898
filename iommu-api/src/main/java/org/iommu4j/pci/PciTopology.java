// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.pci;

import java.util.List;
import java.util.Objects;
import java.util.Optional;

/** The PCI functions and bridges of a machine, with raw configuration space. */
@FunctionalInterface
public interface PciTopology {
    /** Returns all functions in the order of their addresses. */
    List<PciFunction> functions();

    /** Finds a function by its address. */
    default Optional<PciFunction> function(PciAddress address) {
        Objects.requireNonNull(address, "address");
        return functions().stream()
                .filter(function -> function.address().equals(address))
                .findFirst();
    }
}
