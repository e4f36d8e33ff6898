// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench;

import java.nio.file.Path;
import org.iommu4j.host.InputException;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * Reads a path; {@code -} is standard input. An empty one would be the current directory, and a variable of a shell
 * that is not set is none.
 */
final class PathConverter implements ITypeConverter<Path> {
    /**
     * Reads one of many parameters, of which the library takes those that can't be converted for too many.
     *
     * @throws InputException when it can't be a path
     */
    static Path parameter(String value) {
        try {
            return new PathConverter().convert(value);
        } catch (TypeConversionException e) {
            throw new InputException(String.valueOf(e.getMessage()), e);
        }
    }

    @Override
    public Path convert(String value) {
        if (value.isEmpty()) {
            throw new TypeConversionException("an empty path, expected a file or directory");
        }
        return Path.of(value.equals("-") ? "/dev/stdin" : value);
    }
}
