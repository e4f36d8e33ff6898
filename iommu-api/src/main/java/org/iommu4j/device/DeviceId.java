// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.device;

/**
 * The identity of a device on a machine: its PCI address, or the name that firmware gives it.
 *
 * <p>There are two kinds, {@code org.iommu4j.pci.PciAddress} and {@link NamedDevice}. PCI functions sort before named
 * devices. The text form of an identity is what Linux shows for the device.
 */
public interface DeviceId extends Comparable<DeviceId> {}
