// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.iommu4j.DecisionSource;
import org.iommu4j.capability.GuestTable;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.ProcessMemory;
import org.iommu4j.vfio.VfioDeviceFile;
import org.iommu4j.vfio.VfioFile;
import org.iommu4j.vfio.iommufd.HwptAlloc;
import org.iommu4j.vfio.iommufd.IoasMap;
import org.iommu4j.vfio.iommufd.Iommufd;
import org.jspecify.annotations.Nullable;

/** By an iommufd with one IOAS, and the devices' own files, which are opened and bound to be attached. */
final class IommufdAssignment implements Assignment {
    private static final int FLAGS = IoasMap.FIXED_IOVA | IoasMap.WRITEABLE | IoasMap.READABLE;

    private final Scenario scenario;
    private final Iommufd iommufd;
    private final int ioas;
    private final Map<PciAddress, VfioDeviceFile> files = new LinkedHashMap<>();
    private final Map<PciAddress, Integer> ids = new LinkedHashMap<>();
    private final Map<String, Integer> hwpts = new LinkedHashMap<>();

    /** The parent of a nested HWPT. */
    private final Map<Integer, Integer> parents = new LinkedHashMap<>();

    /** The HWPT to which a device was attached by its name. */
    private final Map<PciAddress, Integer> attached = new LinkedHashMap<>();

    IommufdAssignment(Scenario scenario, ProcessMemory vmm) {
        this.scenario = scenario;
        iommufd = scenario.openIommufd(vmm, AssignedBy.IOMMUFD);
        ioas = iommufd.ioasAlloc(0);
    }

    @Override
    public void map(long iova, long virtualAddress, long bytes) {
        iommufd.ioasMap(new IoasMap(FLAGS, ioas, virtualAddress, bytes, iova));
    }

    @Override
    public void attach(PciAddress device) {
        bound(device).attach(ioas);
        attached.remove(device);
    }

    @Override
    public void detach(PciAddress device) {
        VfioDeviceFile file = file(device).map(VfioDeviceFile.class::cast).orElseThrow();
        file.detach();
        file.close();
        files.remove(device);
        ids.remove(device);
        attached.remove(device);
    }

    @Override
    public void open(PciAddress device) {
        // A file that is bound is open.
    }

    @Override
    public void close(PciAddress device) {
        // It is closed when it is detached.
    }

    @Override
    public void allocateHwpt(String name, PciAddress device) {
        allocate(name, 0, device);
    }

    @Override
    public void allocateParent(String name, PciAddress device) {
        allocate(name, HwptAlloc.NEST_PARENT, device);
    }

    private void allocate(String name, int flags, PciAddress device) {
        bound(device);
        hwpts.put(name, iommufd.hwptAlloc(new HwptAlloc(flags, ids.getOrDefault(device, 0), ioas)));
    }

    @Override
    public void nest(String name, String parent, PciAddress device, GuestTable table) {
        bound(device);
        int below = hwpts.getOrDefault(parent, 0);
        int made = iommufd.hwptAlloc(
                new HwptAlloc(0, ids.getOrDefault(device, 0), below, HwptAlloc.DATA_VTD_S1, table, 0));
        hwpts.put(name, made);
        parents.put(made, below);
    }

    @Override
    public void attachTo(String hwpt, PciAddress device) {
        int id = hwpts.getOrDefault(hwpt, 0);
        bound(device).attach(id);
        attached.put(device, id);
    }

    private VfioDeviceFile bound(PciAddress device) {
        VfioDeviceFile known = files.get(device);
        if (known != null) {
            return known;
        }
        VfioDeviceFile file = VfioDeviceFile.open(scenario.vfio(), scenario.bindToVfio(device));
        ids.put(device, file.bind(iommufd));
        files.put(device, file);
        return file;
    }

    @Override
    public Optional<VfioFile> file(PciAddress device) {
        VfioDeviceFile file = files.get(device);
        if (file == null) {
            throw new IllegalArgumentException(device + " is not attached");
        }
        return Optional.of(file);
    }

    @Override
    public ConfigSpace config(PciAddress device) {
        VfioDeviceFile file = files.get(device);
        return file == null
                ? scenario.machine().endpoint(device).config()
                : file.device().config();
    }

    /** A user of the devices' own files has no such question. */
    @Override
    public @Nullable Boolean dmaCc() {
        return null;
    }

    @Override
    public Optional<DecisionSource> dmaCcSource() {
        return Optional.empty();
    }

    @Override
    public Optional<DecisionSource> askedBy() {
        return Optional.of(iommufd.enforcementSource());
    }

    @Override
    public List<DomainOutcome> domains() {
        Map<PciAddress, Integer> below = new LinkedHashMap<>();
        attached.forEach((device, hwpt) -> {
            Integer parent = parents.get(hwpt);
            if (parent != null) {
                below.put(device, parent);
            }
        });
        return HwptOutcomes.of(scenario, iommufd, files.keySet(), below);
    }

    @Override
    public void end() {
        for (PciAddress device : List.copyOf(files.keySet())) {
            detach(device);
        }
        iommufd.close();
    }
}
