// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.spi;

import java.util.Objects;

/**
 * Something that a firmware table puts behind a unit.
 *
 * @param kind what it is
 * @param name what it is called beside its place, empty for PCI functions: {@code IOAPIC 2}, {@code \_SB.PCI0.I2C0}
 * @param place its PCI address, a range of them, or the path as the table has it where the topology has nothing there
 */
public record ScopeEntry(Kind kind, String name, String place) {
    /** Refuses what is missing. */
    public ScopeEntry {
        Objects.requireNonNull(kind, "kind");
        Objects.requireNonNull(name, "name");
        Objects.requireNonNull(place, "place");
    }

    /** The kinds of entry. */
    public enum Kind {
        /** A PCI function, or a range of them. */
        FUNCTION,
        /** A bridge with everything below it. */
        BRIDGE,
        /** An I/O APIC or HPET: only its interrupts matter. */
        INTERRUPT_SOURCE,
        /** A device that ACPI names and PCI does not show. */
        NAMESPACE_DEVICE,
        /** Something that this reading does not know. */
        OTHER
    }

    /** Returns whether the entry is about PCI functions. */
    public boolean isPci() {
        return kind == Kind.FUNCTION || kind == Kind.BRIDGE;
    }

    @Override
    public String toString() {
        return switch (kind) {
            case FUNCTION -> place;
            case BRIDGE -> place + " and below";
            case INTERRUPT_SOURCE, NAMESPACE_DEVICE, OTHER -> name + " at " + place;
        };
    }
}
