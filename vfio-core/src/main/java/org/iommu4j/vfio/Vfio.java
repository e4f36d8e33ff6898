// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import org.iommu4j.core.IommuCore;
import org.iommu4j.platform.PciAddress;
import org.iommu4j.platform.ProcessMemory;

/** VFIO of one host. */
@SuppressWarnings("DoNotCallSuggester")
public final class Vfio {
    /** Makes VFIO for the groups that core found. */
    public Vfio(IommuCore core, VfioOptions options) {
        VfioRules.of(options.release());
        core.groups();
    }

    /** Binds a device to vfio-pci. EINVAL without CACHE_COHERENCY. */
    public VfioDevice register(PciAddress device) {
        throw new UnsupportedOperationException(device.toString());
    }

    /** Opens a group by its number. ENOENT, EBUSY. */
    public VfioGroup openGroup(int id) {
        throw new UnsupportedOperationException("group " + id);
    }

    /** Opens a container whose mappings are of a process's memory. */
    public VfioContainer openContainer(ProcessMemory process) {
        throw new UnsupportedOperationException(process.toString());
    }
}
