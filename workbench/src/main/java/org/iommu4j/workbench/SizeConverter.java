// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench;

import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Reads a size in bytes, or in KiB, MiB, GiB or TiB: {@code 4096}, {@code 512M}, {@code 1G}. */
final class SizeConverter implements ITypeConverter<Long> {
    private static final Pattern SIZE = Pattern.compile("([0-9]{1,18})([KMGT]?)");
    private static final String UNITS = "KMGT";

    @Override
    public Long convert(String value) {
        Matcher size = SIZE.matcher(value);
        if (!size.matches()) {
            throw new TypeConversionException("'" + value + "' is not a size, expected a form like 512M or 1G");
        }
        long number = Long.parseLong(size.group(1));
        int shift = size.group(2).isEmpty() ? 0 : 10 * (UNITS.indexOf(size.group(2)) + 1);
        if (number > Long.MAX_VALUE >> shift) {
            throw new TypeConversionException("'" + value + "' is too big a size");
        }
        return number << shift;
    }
}
