// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.util.HashMap;
import java.util.Map;
import java.util.SortedMap;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;

/**
 * Finds the physical function of each virtual one: as an input states, else by offset and stride.
 *
 * <p>Source: PCI Express, Single Root I/O Virtualization extended capability.
 */
final class VirtualFunctions {
    private static final int CONTROL = 0x08;
    private static final int ENABLE = 1;
    private static final int COUNT = 0x10;
    private static final int FIRST_OFFSET = 0x14;
    private static final int STRIDE = 0x16;
    private static final int LAST_REQUESTER = 0xffff;

    private final SortedMap<PciAddress, FunctionFacts> functions;
    private final Map<PciAddress, PciAddress> physicalOf = new HashMap<>();

    /** No machine has more; this bounds the time that a text with a greater number takes. */
    private int left = EvidenceBuilder.MAX_FUNCTIONS;

    private VirtualFunctions(SortedMap<PciAddress, FunctionFacts> functions) {
        this.functions = functions;
    }

    /**
     * Returns the physical functions by the addresses of their virtual ones; a physical one may not be among the input.
     */
    static Map<PciAddress, PciAddress> of(SortedMap<PciAddress, FunctionFacts> functions) {
        VirtualFunctions found = new VirtualFunctions(functions);
        functions.forEach((address, function) -> function.physicalFunction()
                .filter(stated -> !stated.value().equals(address))
                .ifPresent(stated -> found.physicalOf.put(address, stated.value())));
        functions.values().forEach(found::count);
        return found.physicalOf;
    }

    private void count(FunctionFacts physical) {
        if (physical.config().isEmpty() || !physical.knowledge().extendedCapabilities()) {
            return;
        }
        KnownConfig config = new KnownConfig(physical.config().get().value());
        int at = config.findExtendedCapability(ConfigSpace.EXTENDED_CAPABILITY_SRIOV);
        if (at == 0 || (config.read(at + CONTROL, 2) & ENABLE) == 0) {
            return;
        }
        int stride = config.read(at + STRIDE, 2);
        int requester = physical.address().requesterId() + config.read(at + FIRST_OFFSET, 2);
        for (int i = config.read(at + COUNT, 2); i > 0 && requester <= LAST_REQUESTER && left > 0; i--, left--) {
            PciAddress virtual = PciAddress.of(physical.address().segment(), requester);
            if (functions.containsKey(virtual) && !virtual.equals(physical.address())) {
                physicalOf.putIfAbsent(virtual, physical.address());
            }
            requester += stride;
        }
    }
}
