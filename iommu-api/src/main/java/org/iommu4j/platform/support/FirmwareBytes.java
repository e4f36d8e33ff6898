// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.platform.support;

import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.iommu4j.platform.FirmwareTables;

/** Firmware that is given as bytes: the simplest adapter of its port. */
public final class FirmwareBytes implements FirmwareTables {
    private final Map<String, byte[]> tables;
    private final Optional<byte[]> deviceTree;

    /**
     * Keeps the bytes, which must not change any more.
     *
     * @param tables ACPI tables by signature
     * @param deviceTree the flattened device tree
     */
    public FirmwareBytes(Map<String, byte[]> tables, Optional<byte[]> deviceTree) {
        this.tables = Map.copyOf(tables);
        this.deviceTree = Objects.requireNonNull(deviceTree, "deviceTree");
    }

    @Override
    public Optional<byte[]> table(String signature) {
        return Optional.ofNullable(tables.get(Objects.requireNonNull(signature, "signature")))
                .map(byte[]::clone);
    }

    @Override
    public Optional<byte[]> deviceTree() {
        return deviceTree.map(byte[]::clone);
    }
}
