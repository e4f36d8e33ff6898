// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;
import org.iommu4j.host.FunctionEvidence;
import org.iommu4j.host.HostEvidence;
import org.iommu4j.pci.PciAddress;

/**
 * Finds the Intel VMD that a function is below. Linux keeps both in one group, and no other input names the one for the
 * other.
 *
 * <p>Source: {@code drivers/pci/controller/vmd.c} vmd_ids.
 */
final class Vmds {
    private static final int INTEL = 0x8086;
    private static final Set<Integer> DEVICES =
            Set.of(0x201d, 0x28c0, 0x467f, 0x4c3d, 0x7d0b, 0x9a0b, 0xa77f, 0xad0b, 0xb06f, 0xb60b);
    private static final String NAME = "Volume Management Device";
    private static final String DRIVER = "vmd";

    private Vmds() {}

    /** Returns the VMD above each function below one; a function above which several may be is left out. */
    static Map<PciAddress, PciAddress> of(HostEvidence evidence) {
        List<FunctionEvidence> below = evidence.functions().stream()
                .filter(function -> !function.address().hasOwnRequesterId())
                .toList();
        if (below.isEmpty()) {
            return Map.of();
        }
        List<PciAddress> all = new ArrayList<>();
        Map<OptionalInt, List<PciAddress>> byGroup = new HashMap<>();
        evidence.requesters().stream().filter(Vmds::isVmd).forEach(vmd -> {
            all.add(vmd.address());
            byGroup.computeIfAbsent(group(vmd), unused -> new ArrayList<>()).add(vmd.address());
        });
        List<PciAddress> ofUnknownGroup = byGroup.getOrDefault(OptionalInt.empty(), List.of());
        Map<PciAddress, PciAddress> above = new HashMap<>();
        for (FunctionEvidence function : below) {
            OptionalInt group = group(function);
            List<PciAddress> possible = group.isEmpty() ? all : byGroup.getOrDefault(group, ofUnknownGroup);
            if (possible.size() == 1) {
                above.put(function.address(), possible.get(0));
            }
        }
        return above;
    }

    private static OptionalInt group(FunctionEvidence function) {
        return function.group().map(group -> OptionalInt.of(group.value())).orElse(OptionalInt.empty());
    }

    private static boolean isVmd(FunctionEvidence function) {
        boolean byId = function.vendorId().isPresent()
                && function.vendorId().getAsInt() == INTEL
                && function.deviceId().isPresent()
                && DEVICES.contains(function.deviceId().getAsInt());
        return byId
                || function.driver()
                        .filter(driver -> driver.value().equals(DRIVER))
                        .isPresent()
                || function.name().filter(name -> name.contains(NAME)).isPresent();
    }
}
