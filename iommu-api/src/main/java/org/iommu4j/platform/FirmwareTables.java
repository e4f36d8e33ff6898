// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.platform;

import java.util.Map;
import java.util.Objects;
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

    /**
     * Makes the simplest adapter.
     *
     * @param tables ACPI tables by signature
     * @param deviceTree the flattened device tree
     */
    static FirmwareTables of(Map<String, byte[]> tables, Optional<byte[]> deviceTree) {
        Map<String, byte[]> kept = Map.copyOf(tables);
        Objects.requireNonNull(deviceTree, "deviceTree");
        return new FirmwareTables() {
            @Override
            public Optional<byte[]> table(String signature) {
                return Optional.ofNullable(kept.get(Objects.requireNonNull(signature, "signature")))
                        .map(byte[]::clone);
            }

            @Override
            public Optional<byte[]> deviceTree() {
                return deviceTree.map(byte[]::clone);
            }
        };
    }
}
