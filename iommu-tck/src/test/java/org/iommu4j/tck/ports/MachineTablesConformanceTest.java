// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.ports;

import java.util.Map;
import java.util.Optional;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.tck.FirmwareTablesConformance;

/** A simulated machine's tables. */
class MachineTablesConformanceTest extends FirmwareTablesConformance {
    @Override
    protected FirmwareTables newTables(Map<String, byte[]> tables) {
        return SimulatedPlatform.factory()
                .createFlat(SimulatedPlatform.description().withAcpiTables(tables))
                .firmware();
    }

    @Override
    protected Optional<FirmwareTables> newTree(byte[] deviceTree) {
        return Optional.of(SimulatedPlatform.factory()
                .createFlat(SimulatedPlatform.description().withDeviceTree(Optional.of(deviceTree)))
                .firmware());
    }
}
