// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.pci.PciAddress;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * PCI addresses that an option names at once.
 *
 * @param addresses at least one, in order
 */
record AddressList(List<PciAddress> addresses) {
    AddressList {
        addresses = List.copyOf(addresses);
    }

    /** Reads addresses with commas between them; none may be empty, or what was meant would be missing in silence. */
    static final class Converter implements ITypeConverter<AddressList> {
        @Override
        public AddressList convert(String value) {
            List<PciAddress> addresses = new ArrayList<>();
            for (String element : value.split(",", -1)) {
                if (element.isBlank()) {
                    throw new TypeConversionException("'" + value
                            + "' has an empty element, expected addresses with commas between them, such as"
                            + " 0000:02:00.0,0000:02:00.1");
                }
                addresses.add(new AddressConverter().convert(element.strip()));
            }
            return new AddressList(addresses);
        }
    }
}
