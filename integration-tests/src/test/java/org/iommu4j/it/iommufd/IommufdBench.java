// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.iommufd;

import java.util.List;
import java.util.Set;
import org.iommu4j.Iommu;
import org.iommu4j.LinuxRelease;
import org.iommu4j.core.DefaultDomainPolicy;
import org.iommu4j.core.IommuCore;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.ProcessMemory;
import org.iommu4j.platform.support.FailNth;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.machine.UserProcess;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.pcie.RequestStatus;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.vfio.Vfio;
import org.iommu4j.vfio.VfioDevice;
import org.iommu4j.vfio.VfioDeviceFile;
import org.iommu4j.vfio.VfioOptions;
import org.iommu4j.vfio.iommufd.Iommufd;
import org.iommu4j.vfio.iommufd.IommufdOptions;
import org.iommu4j.vfio.iommufd.IommufdUser;
import org.iommu4j.vfio.iommufd.UserAccount;

/** A machine with two devices that user space has through iommufd, and a process whose pages hold their addresses. */
final class IommufdBench {
    static final long PAGE = 4096;
    static final PciAddress FIRST = BuiltInTopology.GPU;
    static final PciAddress SECOND = BuiltInTopology.SECOND_GPU;

    /** Where the process has memory. */
    static final long MEMORY = 0x7f0000000000L;

    final Machine machine;
    final FailNth failures = new FailNth();
    final Iommu iommu;
    final IommuCore core;
    final Vfio vfio;
    final UserProcess process;
    final UserAccount account = new UserAccount(1 << 20);
    final IommufdOptions options;
    final VfioDevice first;
    final VfioDevice second;

    IommufdBench(MachineDescription description, String release, int pages) {
        this(MachineFactory.load().createFlat(description), release, pages);
    }

    IommufdBench(Machine machine, String release, int pages) {
        LinuxRelease linux = LinuxRelease.of(release);
        this.machine = machine;
        iommu = IommuVendors.load()
                .claiming(machine.firmware())
                .get(0)
                .open(machine.vendorContext(linux).failing(failures));
        core = IommuCore.open(List.of(iommu), machine.topology(), DefaultDomainPolicy.DMA);
        vfio = new Vfio(core, VfioOptions.DEFAULT.withRelease(linux));
        options = IommufdOptions.DEFAULT.withRelease(linux);
        process = machine.newProcess(Long.MAX_VALUE, true);
        process.allocate(MEMORY, pages, true);
        for (long at = MEMORY; at < MEMORY + pages * PAGE; at += PAGE) {
            machine.memory(0).store(process.translate(at), at);
        }
        first = vfio.register(FIRST);
        second = vfio.register(SECOND);
    }

    static MachineDescription named(String name) {
        return MachineFactory.load().named(name);
    }

    /** Opens an iommufd whose user is charged for pages. */
    Iommufd open() {
        return open(process);
    }

    Iommufd open(ProcessMemory memory) {
        return Iommufd.open(options, new IommufdUser(memory, account, Set.of(IommufdUser.Capability.SYS_RESOURCE)));
    }

    VfioDeviceFile file(VfioDevice device) {
        return VfioDeviceFile.open(vfio, device);
    }

    /** Reads a word by a device; -1 when the request was refused. */
    long read(PciAddress device, long iova) {
        Endpoint endpoint = machine.endpoint(device);
        endpoint.config().write(4, 2, endpoint.config().read(4, 2) | 6);
        long value = endpoint.read(iova, false);
        return endpoint.lastStatus() == RequestStatus.DONE ? value : -1;
    }
}
