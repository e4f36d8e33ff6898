// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.iommu4j.core.PciIsolation;
import org.iommu4j.host.FunctionEvidence;
import org.iommu4j.host.HostEvidence;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.Reason;

/** Finds why functions are in one group: bridges, and functions of one device, that do not isolate. */
final class GroupReasons {
    private static final String SOURCE = "Linux pci_device_group, pci_acs_enabled";
    private static final int SHOWN = 4;

    private GroupReasons() {}

    static List<Reason> of(List<PciAddress> members, HostEvidence evidence, PciIsolation isolation) {
        if (members.size() < 2) {
            return List.of();
        }
        Map<PciAddress, Long> functions =
                members.stream().collect(Collectors.groupingBy(GroupReasons::device, Collectors.counting()));
        Set<Reason> reasons = new LinkedHashSet<>();
        for (PciAddress member : members) {
            FunctionEvidence function = evidence.function(member).orElse(null);
            if (function == null || !member.hasOwnRequesterId()) {
                continue;
            }
            Optional<PciAddress> above = function.upstreamBridge();
            above.flatMap(evidence::function)
                    .flatMap(bridge -> ofBridge(bridge, isolation))
                    .ifPresent(reasons::add);
            if (functions.getOrDefault(device(member), 0L) > 1 && isKnownNotToIsolate(function, isolation)) {
                reasons.add(new Reason(
                        String.format(
                                "functions of device %04x:%02x:%02x are not isolated from each other (%s)",
                                member.segment(), member.bus(), member.device(), acs(function)),
                        SOURCE));
            }
        }
        return new ArrayList<>(reasons).subList(0, Math.min(SHOWN, reasons.size()));
    }

    /** Returns the address that all functions of a device share. */
    private static PciAddress device(PciAddress function) {
        return new PciAddress(function.segment(), function.bus(), function.device(), 0);
    }

    private static Optional<Reason> ofBridge(FunctionEvidence bridge, PciIsolation isolation) {
        if (bridge.pciExpress() != Answer.UNKNOWN && isolation.takesOverRequests(bridge.address())) {
            return Optional.of(new Reason(
                    "bridge " + bridge.address() + " to conventional PCI gives all requests one requester ID", SOURCE));
        }
        return isKnownNotToIsolate(bridge, isolation)
                ? Optional.of(new Reason(
                        "port " + bridge.address() + " does not isolate the functions below it (" + acs(bridge) + ")",
                        SOURCE))
                : Optional.empty();
    }

    /** The isolation of a function is known where its extended capabilities are known. */
    private static boolean isKnownNotToIsolate(FunctionEvidence function, PciIsolation isolation) {
        return function.knowledge().extendedCapabilities() && !isolation.isolates(function.address());
    }

    private static String acs(FunctionEvidence function) {
        return function.config().findExtendedCapability(ConfigSpace.EXTENDED_CAPABILITY_ACS) == 0
                ? "no ACS"
                : "its ACS is off";
    }
}
