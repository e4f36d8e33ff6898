// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import java.util.function.LongUnaryOperator;
import org.iommu4j.device.DeviceId;
import org.iommu4j.platform.RegisterWindow;

/**
 * A walk of a unit's tables, written apart from its driver and its silicon: a second witness of what a device reaches.
 */
@FunctionalInterface
public interface TableWalk {
    /**
     * Walks for a read without PASID as the hardware would, from the unit's registers on.
     *
     * @param registers those of the device's unit
     * @param memory loads a word by its physical address, as the unit sees it
     * @param device whose address space
     * @return the physical address of the byte, or {@link org.iommu4j.IommuDomain#UNMAPPED}
     */
    long translate(RegisterWindow registers, LongUnaryOperator memory, DeviceId device, long iova);
}
