// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.platform;

import java.util.Optional;

/** The ACPI tables of a machine. There is no port for device trees: a driver does not find their units. */
@FunctionalInterface
public interface FirmwareTables {
    /**
     * Returns a copy of a table with its header, as firmware left it; its checksum may be wrong [table-1].
     *
     * @param signature four characters, for example {@code DMAR}
     */
    Optional<byte[]> table(String signature);
}
