// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.vfio.VfioDevice;
import org.iommu4j.vfio.VfioFile;
import org.iommu4j.vfio.VfioGroup;

/** By groups in a container, which gets its IOMMU with the first group. */
abstract class GroupAssignment implements Assignment {
    private record Mapping(long iova, long virtualAddress, long bytes) {}

    final Scenario scenario;
    private final List<Mapping> mappings = new ArrayList<>();

    /** A device's group; two devices of one group share it. */
    private final Map<PciAddress, VfioGroup> groups = new LinkedHashMap<>();

    /** Groups that are in no container yet. */
    private final Map<PciAddress, VfioGroup> openedEarly = new LinkedHashMap<>();

    private final Map<PciAddress, VfioDevice> opened = new LinkedHashMap<>();

    GroupAssignment(Scenario scenario) {
        this.scenario = scenario;
    }

    /** Returns the file of the container. */
    abstract Object container();

    /** Gives the container its IOMMU. */
    abstract void setIommu();

    /** Maps memory in the container, which has its IOMMU. */
    abstract void mapNow(long iova, long virtualAddress, long bytes);

    @Override
    public void map(long iova, long virtualAddress, long bytes) {
        mappings.add(new Mapping(iova, virtualAddress, bytes));
        if (!groups.isEmpty()) {
            mapNow(iova, virtualAddress, bytes);
        }
    }

    @Override
    public void attach(PciAddress device) {
        for (Map.Entry<PciAddress, VfioGroup> other : groups.entrySet()) {
            if (scenario.groupOf(other.getKey()).equals(scenario.groupOf(device))) {
                groups.put(device, other.getValue());
                return;
            }
        }
        VfioGroup early = openedEarly.remove(device);
        VfioGroup group = early == null ? scenario.openGroup(device) : early;
        group.setContainer(container());
        boolean first = groups.isEmpty();
        if (first) {
            setIommu();
        }
        groups.put(device, group);
        if (first) {
            mappings.forEach(each -> mapNow(each.iova, each.virtualAddress, each.bytes));
        }
    }

    @Override
    public void openFile(PciAddress device) {
        openedEarly.put(device, scenario.openGroup(device));
    }

    @Override
    public void detach(PciAddress device) {
        VfioGroup group = group(device);
        groups.remove(device);
        if (!groups.containsValue(group)) {
            group.close();
        }
    }

    @Override
    public void open(PciAddress device) {
        opened.put(device, group(device).openDevice(device));
    }

    @Override
    public void close(PciAddress device) {
        VfioDevice open = opened.remove(device);
        if (open == null) {
            throw new IllegalArgumentException(device + " is not open");
        }
        group(device).closeDevice(open);
    }

    @Override
    public Optional<VfioFile> file(PciAddress device) {
        return Optional.of(group(device));
    }

    @Override
    public ConfigSpace config(PciAddress device) {
        VfioDevice open = opened.get(device);
        return open == null ? scenario.machine().endpoint(device).config() : open.config();
    }

    private VfioGroup group(PciAddress device) {
        VfioGroup group = groups.getOrDefault(device, openedEarly.get(device));
        if (group == null) {
            throw new IllegalArgumentException(device + " is not attached");
        }
        return group;
    }

    @Override
    public void end() {
        for (PciAddress device : List.copyOf(opened.keySet())) {
            close(device);
        }
        for (PciAddress device : List.copyOf(groups.keySet())) {
            detach(device);
        }
    }
}
