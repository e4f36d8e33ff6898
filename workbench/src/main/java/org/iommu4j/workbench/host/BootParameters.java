// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.host;

import java.util.Arrays;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.spi.KernelParameter;

/**
 * What of a kernel's command line a capture keeps.
 *
 * <p>Command lines name disks by their serial numbers, network cards by their addresses, hosts, and now and then passwords, in
 * forms that nobody can list. So only parameters are kept whose name is known: those of the vendors' drivers, and those of PCI,
 * VFIO, and interrupt remapping, whose values name no more than PCI functions.
 */
final class BootParameters {
    private static final Pattern OF_EVERY_HOST = Pattern.compile(
            "iommu(?:\\.\\w+)?|intremap|pci|pcie_acs_override|vfio(?:_pci|_iommu_type1)?\\.\\w+" + "|iommu4j\\.\\w+");

    private final Set<String> ofVendors;

    /** Makes one that knows the parameters of some vendors' drivers. */
    BootParameters(IommuVendors vendors) {
        ofVendors = vendors.all().stream()
                .flatMap(vendor -> vendor.kernelParameters().stream())
                .map(KernelParameter::parameter)
                .collect(Collectors.toUnmodifiableSet());
    }

    /** Returns a command line without all that is not known. */
    String of(String commandLine) {
        return Arrays.stream(commandLine.split("\\s+", -1))
                .filter(this::isKnown)
                .collect(Collectors.joining(" "));
    }

    /** Linux takes a dash in a name for an underscore. */
    private boolean isKnown(String word) {
        int equals = word.indexOf('=');
        String name = (equals < 0 ? word : word.substring(0, equals)).replace('-', '_');
        return ofVendors.contains(name) || OF_EVERY_HOST.matcher(name).matches();
    }
}
