// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench;

import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Reads an address in hexadecimal, with or without {@code 0x}. */
final class HexConverter implements ITypeConverter<Long> {
    @Override
    public Long convert(String value) {
        try {
            return Long.parseUnsignedLong(
                    value.startsWith("0x") || value.startsWith("0X") ? value.substring(2) : value, 16);
        } catch (NumberFormatException e) {
            throw new TypeConversionException("'" + value + "' is not an address, expected a form like 0x2e560000");
        }
    }
}
