// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench;

import org.iommu4j.pci.PciAddress;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Reads a PCI address. */
final class AddressConverter implements ITypeConverter<PciAddress> {
    @Override
    public PciAddress convert(String value) {
        try {
            return PciAddress.parse(value);
        } catch (IllegalArgumentException e) {
            throw new TypeConversionException(e.getMessage());
        }
    }
}
