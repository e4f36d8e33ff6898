// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.acpi;

import java.util.List;

/** A node of a RIMT; it is known by its place in the table. */
public sealed interface RimtNode {
    /** Returns the bytes from the table's start. */
    int offset();

    /** Returns its mappings of ids, in the table's order. */
    List<IdMapping> mappings();

    /**
     * A unit.
     *
     * @param offset bytes from the table's start
     * @param hardwareId ACPI id of the unit's device, without its trailing NULs and spaces
     * @param base physical address of its registers, 0 where the unit is a PCI function
     * @param flags bit 0: it is a PCI function
     * @param segment PCI segment of that function
     * @param requesterId that function's
     * @param wires how many interrupt wires it has
     */
    record Unit(int offset, String hardwareId, long base, long flags, int segment, int requesterId, int wires)
            implements RimtNode {
        /** Returns whether it is a PCI function, not a platform device. */
        public boolean isPciFunction() {
            return (flags & 1) != 0;
        }

        @Override
        public List<IdMapping> mappings() {
            return List.of();
        }
    }

    /**
     * A PCIe root complex; Linux takes each segment for one.
     *
     * @param offset bytes from the table's start
     * @param segment PCI segment
     * @param mappings of requester ids
     */
    record RootComplex(int offset, int segment, List<IdMapping> mappings) implements RimtNode {
        /** Copies the list. */
        public RootComplex {
            mappings = List.copyOf(mappings);
        }
    }

    /**
     * A device that is not on PCI.
     *
     * @param offset bytes from the table's start
     * @param path its ACPI path
     * @param mappings each gives it one id, its destination base
     */
    record PlatformDevice(int offset, String path, List<IdMapping> mappings) implements RimtNode {
        /** Copies the list. */
        public PlatformDevice {
            mappings = List.copyOf(mappings);
        }
    }
}
