// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench;

import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Reads a source id: a PCI address, or up to 32 bits in hexadecimal with {@code 0x}. */
final class SourceIdConverter implements ITypeConverter<Integer> {
    @Override
    public Integer convert(String value) {
        if (!value.startsWith("0x")) {
            return new AddressConverter().convert(value).requesterId();
        }
        long id = new HexConverter().convert(value);
        if (id >>> 32 != 0) {
            throw new TypeConversionException(
                    "'" + value + "' is no source id, expected up to 32 bits, as in 0x123456");
        }
        return (int) id;
    }
}
