// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench;

import java.nio.file.Path;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * Reads the path of a file to write. Where a path is read, {@code -} is standard input: written to, it would replace
 * the file from which a shell redirects it.
 */
final class OutputPathConverter implements ITypeConverter<Path> {
    @Override
    public Path convert(String value) {
        if (value.equals("-")) {
            throw new TypeConversionException("'-' names no file to write, expected a path, such as ./-");
        }
        return new PathConverter().convert(value);
    }
}
