// SPDX-License-Identifier: Apache-2.0
package org.iommu4j;

import org.iommu4j.pci.PciAddress;

/**
 * The identity of a device on a machine: its PCI address, or the name that firmware gives it.
 *
 * <p>PCI functions sort before named devices. The text form of an identity is what Linux shows for the device.
 */
public sealed interface DeviceId extends Comparable<DeviceId> permits NamedDevice, PciAddress {}
