// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.spi;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.ServiceLoader;
import java.util.TreeMap;
import org.iommu4j.Iommu;
import org.iommu4j.LinuxRelease;
import org.iommu4j.platform.FirmwareTables;

/**
 * The vendors found on the module path and the class path.
 *
 * <p>The only caller of {@link ServiceLoader} for vendors. Sorted by name, so that nothing depends on the path's order.
 */
public final class IommuVendors {
    private final Map<String, IommuVendor> byName = new TreeMap<>();

    private IommuVendors(Iterable<IommuVendor> found) {
        for (IommuVendor vendor : found) {
            IommuVendor earlier = byName.putIfAbsent(vendor.name(), vendor);
            if (earlier != null) {
                throw new IllegalStateException("two IOMMU vendors are called '" + vendor.name() + "': "
                        + earlier.getClass().getName() + " and "
                        + vendor.getClass().getName());
            }
        }
    }

    /** Finds the vendors through the thread's context class loader. */
    public static IommuVendors load() {
        return new IommuVendors(ServiceLoader.load(IommuVendor.class));
    }

    /** Makes a set of given vendors. */
    public static IommuVendors of(Collection<? extends IommuVendor> vendors) {
        return new IommuVendors(List.copyOf(vendors));
    }

    /** Returns all vendors, sorted by name. */
    public List<IommuVendor> all() {
        return List.copyOf(byName.values());
    }

    /** Returns the vendors whose table, or whose unit in a device tree, the firmware has. */
    public List<IommuVendor> claiming(FirmwareTables firmware) {
        Objects.requireNonNull(firmware, "firmware");
        return byName.values().stream()
                .filter(vendor -> vendor.claims(firmware))
                .toList();
    }

    /** Returns the vendors whose drivers of a release find their units in the firmware. */
    public List<IommuVendor> claiming(FirmwareTables firmware, LinuxRelease release) {
        Objects.requireNonNull(firmware, "firmware");
        Objects.requireNonNull(release, "release");
        return byName.values().stream()
                .filter(vendor -> vendor.claims(firmware, release))
                .toList();
    }

    /**
     * Opens the drivers of all vendors that claim the firmware under the context's release, in the order of their
     * names: all of them or none.
     *
     * @return the drivers; none when no vendor claims the firmware
     * @throws org.iommu4j.IommuException as {@link IommuVendor#open}; the drivers that were opened are closed again
     * @throws IllegalArgumentException when a driver does not support the context's release; as above
     */
    public List<Iommu> open(VendorContext context) {
        Objects.requireNonNull(context, "context");
        List<Iommu> opened = new ArrayList<>();
        try {
            for (IommuVendor vendor : claiming(context.firmware(), context.release())) {
                opened.add(vendor.open(context));
            }
        } catch (RuntimeException failure) {
            for (Iommu iommu : opened) {
                try {
                    iommu.close();
                } catch (RuntimeException second) {
                    failure.addSuppressed(second);
                }
            }
            throw failure;
        }
        return List.copyOf(opened);
    }

    /**
     * Finds a vendor by its name.
     *
     * @throws IllegalArgumentException when there is none; the message lists those found
     */
    public IommuVendor named(String name) {
        IommuVendor vendor = byName.get(name);
        if (vendor == null) {
            throw new IllegalArgumentException("no IOMMU vendor '" + name + "'; found on this path: " + byName.keySet()
                    + ". Is the vendor's jar (e.g. iommu-amd) a dependency?");
        }
        return vendor;
    }
}
