// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.platform;

import java.util.Optional;

/** What firmware says of a machine: its ACPI tables, or its device tree, or both. */
@FunctionalInterface
public interface FirmwareTables {
    /**
     * Returns a copy of an ACPI table with its header, as firmware left it; its checksum may be wrong [table-1].
     *
     * @param signature four characters, for example {@code DMAR}
     */
    Optional<byte[]> table(String signature);

    /**
     * Returns a copy of the flattened device tree, as firmware left it; empty where there is none [device-tree-1].
     *
     * <p>{@link DeviceTree#parse} reads it.
     */
    default Optional<byte[]> deviceTree() {
        return Optional.empty();
    }
}
