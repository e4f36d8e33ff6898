// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.iommu4j.core.IommuCore;
import org.iommu4j.dma.DmaApi;
import org.iommu4j.kvm.VirtualMachine;
import org.iommu4j.release.ReleaseRule;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.vfio.Vfio;
import org.iommu4j.vfio.iommufd.Iommufd;

/** What each module does differently from release to release. */
public final class RuleModules {
    private RuleModules() {}

    /** Returns the rules by module, in the order in which they are shown: vendors by their names, then Linux's own. */
    public static Map<String, List<ReleaseRule<?>>> of(IommuVendors vendors) {
        Map<String, List<ReleaseRule<?>>> modules = new LinkedHashMap<>();
        vendors.all().forEach(vendor -> modules.put(vendor.name(), vendor.releaseRules()));
        modules.put("core", IommuCore.releaseRules());
        modules.put("dma", DmaApi.releaseRules());
        modules.put("vfio", Vfio.releaseRules());
        modules.put("iommufd", Iommufd.releaseRules());
        modules.put("kvm", VirtualMachine.releaseRules());
        return modules;
    }
}
