// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.host;

import java.util.Optional;
import java.util.OptionalInt;
import org.iommu4j.platform.PciAddress;

/**
 * A PCI function as a host's {@code /sys} shows it.
 *
 * @param address where it is
 * @param upstreamBridge the bridge above, by the directory that it lies in
 * @param config its configuration space, 256 or 4096 bytes
 * @param unit the unit that Linux's {@code iommu} link names
 * @param group the number of its IOMMU group
 */
@SuppressWarnings("ArrayRecordComponent") // made by CapturedHost, which hands the array on and forgets it
public record CapturedFunction(
        PciAddress address,
        Optional<PciAddress> upstreamBridge,
        byte[] config,
        Optional<String> unit,
        OptionalInt group) {}
