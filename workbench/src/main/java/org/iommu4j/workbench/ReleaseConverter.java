// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench;

import org.iommu4j.LinuxRelease;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Reads a release by its name. */
final class ReleaseConverter implements ITypeConverter<LinuxRelease> {
    ReleaseConverter() {}

    @Override
    public LinuxRelease convert(String value) {
        try {
            return LinuxRelease.named(value);
        } catch (IllegalArgumentException e) {
            throw new TypeConversionException(e.getMessage());
        }
    }
}
