// SPDX-License-Identifier: Apache-2.0

/**
 * Identities of devices, on whatever bus: {@link org.iommu4j.device.DeviceId}, and {@link
 * org.iommu4j.device.NamedDevice} for devices that only firmware names. Depends on no other package.
 */
package org.iommu4j.device;
