// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import org.iommu4j.LinuxRelease;
import org.iommu4j.core.PciGroups;
import org.iommu4j.device.DeviceId;
import org.iommu4j.host.Fact;
import org.iommu4j.host.FunctionEvidence;
import org.iommu4j.host.HostEvidence;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciTopology;
import org.iommu4j.spi.DeviceDescription;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.IommuVendors;

/**
 * Compares our reading of a host's tables and topology with the answers of its own Linux.
 *
 * <p>It compares two answers: the unit that translates for a function (the vendor's reading of its ACPI table with the
 * {@code iommu} links), and the functions that share a group (core's reading of ACS and aliases with {@code
 * iommu_groups}).
 */
public final class CaptureComparison {
    private CaptureComparison() {}

    /**
     * Compares.
     *
     * @param topology the host's functions
     * @return the differences, one line each; empty when we and Linux agree
     * @throws org.iommu4j.platform.MalformedTableException when the vendor's table can't be read
     */
    public static List<String> differences(HostEvidence host, PciTopology topology, IommuVendors vendors) {
        Objects.requireNonNull(host, "host");
        Objects.requireNonNull(topology, "topology");
        Objects.requireNonNull(vendors, "vendors");
        List<String> differences = new ArrayList<>();
        units(host, readings(host, topology, vendors), differences);
        groups(host, topology, differences);
        return differences;
    }

    /** Each vendor reads its table as its newest driver does; which unit has a function depends on no release. */
    private static List<HostDescription> readings(HostEvidence host, PciTopology topology, IommuVendors vendors) {
        List<HostDescription> readings = new ArrayList<>();
        for (IommuVendor vendor : vendors.claiming(host.firmware())) {
            LinuxRelease.known().stream()
                    .filter(vendor::supports)
                    .reduce((older, newer) -> newer)
                    .map(newest -> vendor.describe(host.firmware(), topology, host.registers(), newest))
                    .ifPresent(readings::add);
        }
        return readings;
    }

    /** Of units of several vendors, a function's is the first that translates for it, as in core. */
    private static void units(HostEvidence host, List<HostDescription> ours, List<String> differences) {
        if (ours.isEmpty()) {
            return;
        }
        Map<DeviceId, String> unitOf = new TreeMap<>();
        for (HostDescription reading : ours) {
            for (DeviceDescription device : reading.devices()) {
                String unit = device.unit();
                if (unit != null) {
                    unitOf.putIfAbsent(device.id(), unit);
                }
            }
        }
        String read =
                String.join(" and ", ours.stream().map(HostDescription::vendor).toList())
                        + (ours.size() == 1 ? " table" : " tables");
        for (FunctionEvidence function : host.functions()) {
            Optional<String> our = Optional.ofNullable(unitOf.get(function.address()));
            Optional<String> linux = function.unit().map(Fact::value);
            if (!our.equals(linux)) {
                differences.add("unit of " + function.address() + " differs: " + linux.orElse("none")
                        + " in the host's Linux, " + our.orElse("none") + " in our reading of its " + read);
            }
        }
    }

    private static void groups(HostEvidence host, PciTopology topology, List<String> differences) {
        Map<PciAddress, SortedSet<PciAddress>> linux = new TreeMap<>();
        host.groups().values().forEach(group -> group.members().forEach(member -> linux.put(member, group.members())));
        Map<PciAddress, SortedSet<PciAddress>> ours = new TreeMap<>();
        for (List<PciAddress> group : PciGroups.of(topology, linux::containsKey)) {
            SortedSet<PciAddress> members = new TreeSet<>(group);
            group.forEach(member -> ours.put(member, members));
        }
        linux.forEach((address, group) -> {
            if (!group.equals(ours.get(address))) {
                differences.add("group of " + address + " differs: " + group + " in the host's Linux, "
                        + ours.get(address) + " in our reading of its topology");
            }
        });
    }
}
