// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.benchmarks;

import java.util.List;
import java.util.function.UnaryOperator;
import org.iommu4j.LinuxRelease;
import org.iommu4j.core.DefaultDomainPolicy;
import org.iommu4j.core.IommuCore;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.vfio.Vfio;
import org.iommu4j.vfio.VfioContainer;
import org.iommu4j.vfio.VfioDevice;
import org.iommu4j.vfio.VfioDeviceFile;
import org.iommu4j.vfio.VfioExtension;
import org.iommu4j.vfio.VfioGroup;
import org.iommu4j.vfio.VfioOptions;
import org.iommu4j.vfio.iommufd.HwptAlloc;
import org.iommu4j.vfio.iommufd.IoasMap;
import org.iommu4j.vfio.iommufd.Iommufd;
import org.iommu4j.vfio.iommufd.IommufdOptions;
import org.iommu4j.vfio.iommufd.IommufdUser;

/** What user space maps memory into: a container, or an IOAS, over a machine's real driver. */
abstract class UserMappings {
    private static final List<PciAddress> BUILT_IN = List.of(BuiltInTopology.GPU, BuiltInTopology.SECOND_GPU);

    final LinearProcess process = new LinearProcess();

    /** Maps memory from IOVA on, readable and writable. */
    abstract void map(long iova, long physical, long size);

    /** Unmaps what one call mapped. */
    abstract void unmap(long iova, long size);

    /** Returns how many domains have the mappings. */
    abstract int domains();

    /** A type1 container with all devices of a machine, in one domain for each sort of unit. */
    static final class OfContainer extends UserMappings {
        private final VfioContainer container;

        /** Opens one with both devices of a built-in machine. */
        static OfContainer of(MachineDescription machine, int mappings) {
            return new OfContainer(machine, BUILT_IN, mappings);
        }

        OfContainer(MachineDescription machine, List<PciAddress> devices, int mappings) {
            Vfio vfio = vfio(machine, options -> options.withDmaEntryLimit(mappings));
            container = vfio.openContainer(process);
            for (PciAddress address : devices) {
                VfioDevice device = vfio.register(address);
                VfioGroup group = vfio.openGroup(device.groupId());
                group.setContainer(container);
                if (container.domains().isEmpty()) {
                    container.setIommu(VfioExtension.TYPE1V2_IOMMU);
                }
            }
        }

        @Override
        void map(long iova, long physical, long size) {
            container.map(
                    iova, LinearProcess.virtual(physical), size, VfioContainer.MAP_READ | VfioContainer.MAP_WRITE);
        }

        @Override
        void unmap(long iova, long size) {
            container.unmap(iova, size, 0);
        }

        @Override
        int domains() {
            return container.domains().size();
        }
    }

    /** An IOAS with some HWPTs, each with a domain. */
    static final class OfIoas extends UserMappings {
        private final Iommufd iommufd;
        private final int ioas;
        private final int domains;

        OfIoas(MachineDescription machine, int domains) {
            Vfio vfio = vfio(machine, UnaryOperator.identity());
            iommufd = Iommufd.open(IommufdOptions.DEFAULT, IommufdUser.root(process));
            ioas = iommufd.ioasAlloc(0);
            int device = VfioDeviceFile.open(vfio, vfio.register(BuiltInTopology.GPU))
                    .bind(iommufd);
            for (int i = 0; i < domains; i++) {
                iommufd.hwptAlloc(new HwptAlloc(0, device, ioas));
            }
            this.domains = domains;
        }

        @Override
        void map(long iova, long physical, long size) {
            int flags = IoasMap.FIXED_IOVA | IoasMap.READABLE | IoasMap.WRITEABLE;
            iommufd.ioasMap(new IoasMap(flags, ioas, LinearProcess.virtual(physical), size, iova));
        }

        @Override
        void unmap(long iova, long size) {
            iommufd.ioasUnmap(ioas, iova, size);
        }

        @Override
        int domains() {
            return domains;
        }
    }

    private static Vfio vfio(MachineDescription description, UnaryOperator<VfioOptions> options) {
        Machine machine = Rig.FACTORY.createFlat(description);
        IommuCore core = IommuCore.open(
                List.of(IommuVendors.load()
                        .claiming(machine.firmware())
                        .get(0)
                        .open(machine.vendorContext(LinuxRelease.NEWEST))),
                machine.topology(),
                DefaultDomainPolicy.DMA);
        return new Vfio(core, options.apply(VfioOptions.DEFAULT));
    }
}
