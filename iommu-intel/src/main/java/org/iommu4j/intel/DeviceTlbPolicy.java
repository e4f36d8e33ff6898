// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.iommu4j.intel.acpi.Dmar;
import org.iommu4j.intel.acpi.RemappingStructure.Atsr;
import org.iommu4j.intel.acpi.RemappingStructure.Satc;
import org.iommu4j.intel.acpi.ScopeResolver;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.pci.PciTopology;

/**
 * Decides from firmware and topology which functions may cache translations: Linux's {@code dmar_ats_supported} and
 * {@code pci_ats_supported}.
 */
final class DeviceTlbPolicy {
    private static final int PORT_TYPE_SHIFT = 4;
    private static final int ROOT_PORT = 4;
    private static final int PCIE_TO_PCI_BRIDGE = 7;

    private final List<Atsr> rootPorts;
    private final List<Satc> integrated;
    private final ScopeResolver scopes;
    private final Map<PciAddress, PciFunction> functions = new HashMap<>();

    DeviceTlbPolicy(Dmar dmar, ScopeResolver scopes, PciTopology topology) {
        this.rootPorts = dmar.all(Atsr.class);
        this.integrated = dmar.all(Satc.class);
        this.scopes = scopes;
        for (PciFunction function : topology.functions()) {
            functions.put(function.address(), function);
        }
    }

    /**
     * Returns whether a function may cache translations; false for one that a user can plug in from outside. A virtual
     * function is treated like its physical one.
     */
    boolean mayCache(PciFunction asked, boolean scalable) {
        PciFunction function = scopes.physical(asked);
        for (Satc satc : integrated) {
            if (scopes.covers(satc.segment(), satc.scopes(), function)) {
                // For a device that needs ATS to work, the hardware itself provides it in legacy mode.
                return scalable || (satc.flags() & 1) == 0;
            }
        }
        PciFunction at = function;
        // A chain of bridges is no longer than there are functions; a topology that loops ends the search.
        for (int i = 0; i <= functions.size(); i++) {
            PciFunction bridge = at.upstreamBridge().map(functions::get).orElse(null);
            if (bridge == null) {
                return at.upstreamBridge().isEmpty();
            }
            int capability = bridge.config().findCapability(ConfigSpace.CAPABILITY_PCI_EXPRESS);
            int type = capability == 0
                    ? PCIE_TO_PCI_BRIDGE
                    : bridge.config().read(capability + 2, 2) >>> PORT_TYPE_SHIFT & 0xf;
            if (type == PCIE_TO_PCI_BRIDGE || bridge.externalFacing()) {
                return false;
            }
            if (type == ROOT_PORT) {
                return isListed(bridge);
            }
            at = bridge;
        }
        return false;
    }

    private boolean isListed(PciFunction rootPort) {
        for (Atsr atsr : rootPorts) {
            if (atsr.segment() == rootPort.address().segment()
                    && ((atsr.flags() & 1) != 0 || scopes.covers(atsr.segment(), atsr.scopes(), rootPort))) {
                return true;
            }
        }
        return false;
    }
}
