// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

import java.util.List;
import java.util.Optional;
import org.iommu4j.DecisionSource;
import org.iommu4j.capability.GuestTable;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.vfio.VfioFile;
import org.jspecify.annotations.Nullable;

/** A VMM's hold on its devices, by one of {@link AssignedBy}. */
interface Assignment {
    /** Maps memory of the VMM for devices, now or as soon as there is one. */
    void map(long iova, long virtualAddress, long bytes);

    /** Has a device's DMA translated. */
    void attach(PciAddress device);

    /** Opens what is KVM's file of a device, before {@link #attach}. */
    default void openFile(PciAddress device) {
        throw new IllegalArgumentException("only a group's file is there before " + device + " is attached");
    }

    /** Ends that. */
    void detach(PciAddress device);

    /** Opens an attached device. */
    void open(PciAddress device);

    /** Closes it. */
    void close(PciAddress device);

    /** Makes a HWPT. */
    default void allocateHwpt(String name, PciAddress device) {
        throw new IllegalArgumentException("only a virtual machine by iommufd has HWPTs, so none for " + device);
    }

    /** Makes a HWPT that can be a parent. */
    default void allocateParent(String name, PciAddress device) {
        throw new IllegalArgumentException("only a virtual machine by iommufd has HWPTs, so none for " + device);
    }

    /** Makes a HWPT of a guest's table on a parent. */
    default void nest(String name, String parent, PciAddress device, GuestTable table) {
        throw new IllegalArgumentException("only a virtual machine by iommufd has HWPTs, so none for " + device);
    }

    /** Attaches a device, or moves it, to a HWPT. */
    default void attachTo(String hwpt, PciAddress device) {
        throw new IllegalArgumentException("only a virtual machine by iommufd has HWPTs, so none for " + device);
    }

    /** Returns the file of which KVM is told; empty where it is not. */
    Optional<VfioFile> file(PciAddress device);

    /** Returns the configuration space of an attached device as the guest has it. */
    ConfigSpace config(PciAddress device);

    /** Returns VFIO_DMA_CC_IOMMU, null where there is no such question. */
    @Nullable
    Boolean dmaCc();

    /** Returns where Linux decides about it; empty where there is no such question. */
    Optional<DecisionSource> dmaCcSource();

    /** Returns where Linux decides whether a domain is asked to block no-snoop; empty where nobody asks. */
    Optional<DecisionSource> askedBy();

    /** Returns the domains that devices are in. */
    List<DomainOutcome> domains();

    /** Lets everything go. */
    void end();
}
