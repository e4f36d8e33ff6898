// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.audit;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.iommu4j.platform.ConfigSpace;
import org.iommu4j.platform.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.Reason;
import org.iommu4j.workbench.host.FunctionEvidence;
import org.iommu4j.workbench.host.HostEvidence;

/** Says why functions are in one group: bridges and functions of one device that do not isolate. */
final class GroupReasons {
    private static final String SOURCE = "Linux pci_device_group, pci_acs_enabled";
    private static final int SHOWN = 4;

    private GroupReasons() {}

    static List<Reason> of(List<PciAddress> members, HostEvidence evidence) {
        if (members.size() < 2) {
            return List.of();
        }
        Set<Reason> reasons = new LinkedHashSet<>();
        for (PciAddress member : members) {
            FunctionEvidence function = evidence.function(member).orElse(null);
            if (function == null) {
                continue;
            }
            Optional<PciAddress> above = function.upstreamBridge();
            above.flatMap(evidence::function)
                    .flatMap(bridge -> ofBridge(bridge))
                    .ifPresent(reasons::add);
            sister(member, members)
                    .filter(unused -> isolates(function) == Answer.NO)
                    .ifPresent(unused -> reasons.add(new Reason(
                            String.format(
                                    "functions of device %04x:%02x:%02x are not isolated from each other (no ACS)",
                                    member.segment(), member.bus(), member.device()),
                            SOURCE)));
        }
        return new ArrayList<>(reasons).subList(0, Math.min(SHOWN, reasons.size()));
    }

    private static Optional<PciAddress> sister(PciAddress of, List<PciAddress> members) {
        return members.stream()
                .filter(other -> !other.equals(of)
                        && other.segment() == of.segment()
                        && other.bus() == of.bus()
                        && other.device() == of.device())
                .findFirst();
    }

    private static Optional<Reason> ofBridge(FunctionEvidence bridge) {
        if (bridge.pciExpress() == Answer.NO) {
            return Optional.of(new Reason(
                    "bridge " + bridge.address() + " to conventional PCI gives all requests one id", SOURCE));
        }
        return isolates(bridge) == Answer.NO
                ? Optional.of(
                        new Reason("port " + bridge.address() + " does not isolate what is below it (no ACS)", SOURCE))
                : Optional.empty();
    }

    /** Whether a function says that it isolates; unknown where its extended capabilities are. */
    private static Answer isolates(FunctionEvidence function) {
        if (!function.knowledge().extendedCapabilities()) {
            return Answer.UNKNOWN;
        }
        int acs = function.config().findExtendedCapability(ConfigSpace.EXTENDED_CAPABILITY_ACS);
        if (acs == 0) {
            return Answer.NO;
        }
        int wanted = 0x1d & function.config().read(acs + 4, 2);
        return Answer.of((function.config().read(acs + 6, 2) & wanted) == wanted);
    }
}
