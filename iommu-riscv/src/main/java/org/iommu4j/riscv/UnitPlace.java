// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.pci.PciTopology;

/**
 * A unit.
 *
 * @param name the name under {@code /sys/class/iommu}
 * @param function the PCI function that it is, empty where it is a platform device
 * @param base its registers, empty where they are not known
 * @param segment of its functions: its own where it is one, else that of the first root complex that leads to it
 * @param wires how many interrupt wires it has
 * @param messages whether there is a controller that its messages can be sent to
 * @param unused why Linux's driver does not use it, empty where it does
 */
record UnitPlace(
        String name,
        Optional<PciAddress> function,
        OptionalLong base,
        OptionalInt segment,
        int wires,
        boolean messages,
        Optional<String> unused) {
    /** Makes the place of a unit that is a PCI function; its registers are behind the first BAR. */
    static UnitPlace of(PciAddress address, PciTopology topology, Optional<String> unused) {
        Optional<PciFunction> function = topology.function(address);
        OptionalLong base = function.map(FunctionRegisters::of).orElse(OptionalLong.empty());
        Optional<String> why = function.isEmpty()
                ? Optional.of("there is no PCI function " + address)
                : base.isEmpty() ? Optional.of("the PCI function is not one that the driver is for") : Optional.empty();
        return new UnitPlace(
                RiscvNames.unit(address.toString()),
                Optional.of(address),
                base,
                OptionalInt.of(address.segment()),
                0,
                true,
                unused.isPresent() ? unused : why);
    }
}
