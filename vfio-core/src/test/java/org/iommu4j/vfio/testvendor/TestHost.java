// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.testvendor;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.iommu4j.core.DefaultDomainPolicy;
import org.iommu4j.core.IommuCore;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.platform.support.FailNth;
import org.iommu4j.platform.support.FramePool;
import org.iommu4j.vfio.Vfio;
import org.iommu4j.vfio.VfioContainer;
import org.iommu4j.vfio.VfioDevice;
import org.iommu4j.vfio.VfioGroup;
import org.iommu4j.vfio.VfioOptions;

/** A host with a few devices behind one driver. */
public final class TestHost {
    /** Injects failures into the driver's frames. */
    public final FailNth failures = new FailNth();
    /** Where the driver's frames come from. */
    public final FramePool pool = new FramePool(0x1000_0000L, 64 << 20);
    /** The driver. */
    public final TestIommu iommu = new TestIommu(failures.frames(pool));

    private final List<PciFunction> functions = new ArrayList<>();
    private final List<NamedDevice> named = new ArrayList<>();
    private VfioOptions options = VfioOptions.DEFAULT;
    private IommuCore core;
    private Vfio vfio;

    /** Adds a device in a group of its own. */
    public TestDevice add(String address) {
        return add(address, false);
    }

    /** Adds a function; those of one slot share a group when they are multi-function. */
    public TestDevice add(String address, boolean multiFunction) {
        return add(new TestFunction(PciAddress.parse(address), multiFunction));
    }

    /** Adds a function with a configuration space, in a group of its own. */
    public TestDevice add(String address, ConfigSpace config) {
        return add(new ConfiguredFunction(PciAddress.parse(address), config));
    }

    /** Adds a virtual function, in a group of its own. */
    public TestDevice addVirtual(String address, TestDevice physical) {
        return add(new VirtualTestFunction(PciAddress.parse(address), (PciAddress) physical.id()));
    }

    private TestDevice add(PciFunction function) {
        functions.add(function);
        functions.sort(Comparator.comparing(PciFunction::address));
        return iommu.device(function.address());
    }

    /** Adds a device that is not on PCI. */
    public TestDevice addNamed(String name) {
        NamedDevice device = new NamedDevice(name);
        named.add(device);
        return iommu.device(device);
    }

    /** Sets VFIO's options. */
    public TestHost with(VfioOptions chosen) {
        options = chosen;
        return this;
    }

    /** Returns core, opened when first asked for. */
    public IommuCore core() {
        if (core == null) {
            core = IommuCore.open(List.of(iommu), () -> List.copyOf(functions), named, DefaultDomainPolicy.DMA);
        }
        return core;
    }

    /** Returns VFIO, made when first asked for. */
    public Vfio vfio() {
        if (vfio == null) {
            vfio = new Vfio(core(), options);
        }
        return vfio;
    }

    /** Registers a device and opens its group. */
    public VfioGroup openGroupOf(TestDevice device) {
        VfioDevice registered = vfio().register(device.id());
        return vfio().openGroup(registered.groupId());
    }

    /** Returns a container with an IOMMU of a type, with the groups of some devices in it. */
    public VfioContainer container(TestProcess process, int type, TestDevice... devices) {
        VfioContainer container = vfio().openContainer(process);
        for (TestDevice device : devices) {
            openGroupOf(device).setContainer(container);
        }
        container.setIommu(type);
        return container;
    }
}
