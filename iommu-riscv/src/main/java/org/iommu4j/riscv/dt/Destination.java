// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.dt;

import org.iommu4j.platform.DeviceTree.Node;

/**
 * Where an id leads to.
 *
 * @param unit the unit's node
 * @param deviceId the id that the unit knows, 32 bits
 */
public record Destination(Node unit, long deviceId) {}
