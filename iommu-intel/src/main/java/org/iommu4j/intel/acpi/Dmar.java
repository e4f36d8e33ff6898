// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel.acpi;

import java.util.ArrayList;
import java.util.List;

/**
 * A DMAR table, VT-d 8.1.
 *
 * @param hostAddressWidth as in the table: the number of address bits that DMA can carry, less 1
 * @param flags bit 0 interrupt remapping is supported, bit 1 x2APIC opt-out, bit 2 DMA is blocked until the system
 *     takes over, bit 3 DMA is not to be remapped (Linux {@code DMAR_REMAP_OPT_OUT}; newer than the manual's 5.1)
 * @param checksumValid whether all bytes add up to 0
 * @param structures in the table's order
 * @param warnings one line for each oddity that could be skipped
 */
public record Dmar(
        int hostAddressWidth,
        int flags,
        boolean checksumValid,
        List<RemappingStructure> structures,
        List<String> warnings) {
    /** Copies the lists. */
    public Dmar {
        structures = List.copyOf(structures);
        warnings = List.copyOf(warnings);
    }

    /** Returns whether the platform supports interrupt remapping. */
    public boolean interruptRemapping() {
        return (flags & 1) != 0;
    }

    /** Returns whether firmware asks the system to block DMA from the start. */
    public boolean platformOptIn() {
        return (flags & 4) != 0;
    }

    /** Returns whether firmware wants DMA not to be remapped, whatever the system's user wants. */
    public boolean remappingOptOut() {
        return (flags & 8) != 0;
    }

    /** Returns the structures of one kind, in the table's order. */
    public <T extends RemappingStructure> List<T> all(Class<T> kind) {
        List<T> found = new ArrayList<>();
        for (RemappingStructure structure : structures) {
            if (kind.isInstance(structure)) {
                found.add(kind.cast(structure));
            }
        }
        return found;
    }
}
