// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.core;

import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Function;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuCapability;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.device.DeviceId;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.pci.PciTopology;
import org.iommu4j.release.ReleaseRule;
import org.jspecify.annotations.Nullable;

/**
 * A machine's devices behind its IOMMUs, in groups.
 *
 * <p>Opening enables Access Control Services in every function that has them, as Linux does when it finds an IOMMU. It
 * probes every function with the requester ids that its requests may carry, and forms the groups. Then it probes the
 * named devices: each has a group of its own. It maps each group's direct regions and attaches the group to its default
 * domain. Closing blocks all devices again. It leaves the drivers open: they belong to the caller. Thread-safe.
 *
 * <p>Source: {@code bus_iommu_probe}, {@code pci_device_group}, {@code generic_device_group},
 * {@code iommu_setup_default_domain}, {@code device_iommu_capable}.
 */
public final class IommuCore implements AutoCloseable {
    private final PciTopology topology;
    private final PciHierarchy hierarchy;
    private final List<IommuGroup> groups;
    private final Map<DeviceId, IommuDevice> devices;
    private final Map<DeviceId, IommuGroup> groupOf;

    private IommuCore(
            PciTopology topology,
            PciHierarchy hierarchy,
            List<IommuGroup> groups,
            Map<DeviceId, IommuDevice> devices,
            Map<DeviceId, IommuGroup> groupOf) {
        this.topology = topology;
        this.hierarchy = hierarchy;
        this.groups = groups;
        this.devices = devices;
        this.groupOf = groupOf;
    }

    /** Returns what core does differently from release to release. */
    public static List<ReleaseRule<?>> releaseRules() {
        return CoreRules.RULES;
    }

    /** Opens core over one driver, with DMA domains as default domains. */
    public static IommuCore open(Iommu iommu, PciTopology topology) {
        return open(List.of(iommu), topology, DefaultDomainPolicy.DMA);
    }

    /**
     * Opens core over a machine without named devices.
     *
     * @throws IommuException as {@link #open(Collection, PciTopology, Collection, DefaultDomainPolicy)}
     */
    public static IommuCore open(Collection<? extends Iommu> iommus, PciTopology topology, DefaultDomainPolicy policy) {
        return open(iommus, topology, List.of(), policy);
    }

    /**
     * Opens core.
     *
     * @param iommus the opened drivers; a device belongs to the first one that translates for it
     * @param topology the machine's functions
     * @param named the machine's devices that are not on PCI; named twice, a device is probed once
     * @param policy the default domains of groups in which no device demands a certain one
     * @throws IommuException EINVAL (a group has devices of two drivers, or a device does not fit the default domain of
     *     its group), EOPNOTSUPP (the driver has no such default domain), and as {@link Iommu#probe}, {@link
     *     Iommu#allocate}, {@link IommuDomain#attach} and {@link IommuMapper#map}; all devices are blocked again
     */
    public static IommuCore open(
            Collection<? extends Iommu> iommus,
            PciTopology topology,
            Collection<NamedDevice> named,
            DefaultDomainPolicy policy) {
        Objects.requireNonNull(iommus, "iommus");
        Objects.requireNonNull(topology, "topology");
        Objects.requireNonNull(named, "named");
        Objects.requireNonNull(policy, "policy");
        PciHierarchy hierarchy = new PciHierarchy(topology);
        hierarchy.enableAcs();
        Map<DeviceId, IommuDevice> devices = new LinkedHashMap<>();
        for (PciNode node : hierarchy.nodes()) {
            probe(iommus, iommu -> iommu.probe(node.function(), node.dmaAliases()))
                    .ifPresent(device -> devices.put(node.address(), device));
        }
        List<List<? extends DeviceId>> members = new ArrayList<>(PciGroups.of(hierarchy, devices::containsKey));
        for (NamedDevice device : new LinkedHashSet<>(named)) {
            probe(iommus, iommu -> iommu.probe(device)).ifPresent(probed -> {
                devices.put(device, probed);
                members.add(List.of(device));
            });
        }
        List<IommuGroup> groups = new ArrayList<>();
        Map<DeviceId, IommuGroup> groupOf = new LinkedHashMap<>();
        for (List<? extends DeviceId> ids : members) {
            Map<IommuDevice, PciFunction> physicalFunctions = new LinkedHashMap<>();
            ids.forEach(id -> hierarchy
                    .physicalFunction(id)
                    .ifPresent(function -> physicalFunctions.put(devices.get(id), function)));
            IommuGroup group = new IommuGroup(
                    groups.size(),
                    ids.stream().map(devices::get).toList(),
                    ids.stream().anyMatch(id -> untrusted(hierarchy, id)),
                    physicalFunctions);
            groups.add(group);
            ids.forEach(id -> groupOf.put(id, group));
        }
        IommuCore core = new IommuCore(topology, hierarchy, List.copyOf(groups), devices, groupOf);
        try {
            groups.forEach(group -> start(group, policy));
        } catch (RuntimeException failure) {
            core.stopAll(failure);
            throw failure;
        }
        return core;
    }

    /** Returns the machine's functions, as they were given. */
    public PciTopology topology() {
        return topology;
    }

    /** Returns the groups of functions in the order of their first ones, then those of named devices as given. */
    public List<IommuGroup> groups() {
        return groups;
    }

    /** Returns the group of a device, empty when no IOMMU translates for it. */
    public Optional<IommuGroup> group(DeviceId id) {
        Objects.requireNonNull(id, "id");
        return Optional.ofNullable(groupOf.get(id));
    }

    /** Returns a device as its driver knows it, empty when no IOMMU translates for it. */
    public Optional<IommuDevice> device(DeviceId id) {
        Objects.requireNonNull(id, "id");
        return Optional.ofNullable(devices.get(id));
    }

    /**
     * Answers a question about a device; false when no IOMMU translates for it.
     *
     * <p>Source: {@code device_iommu_capable}.
     */
    public boolean deviceCapable(DeviceId id, IommuCapability capability) {
        Objects.requireNonNull(id, "id");
        Objects.requireNonNull(capability, "capability");
        IommuDevice device = devices.get(id);
        return device != null && device.iommu().capable(device, capability);
    }

    /**
     * Returns whether a device is reached through a port to the outside, so that it can't be trusted.
     *
     * <p>The port itself is trusted, and so are named devices. Source: {@code set_pcie_untrusted}.
     */
    public boolean untrusted(DeviceId id) {
        Objects.requireNonNull(id, "id");
        return untrusted(hierarchy, id);
    }

    /**
     * Returns whether a device plugged in from outside is kept from memory, as Thunderbolt reports it in
     * {@code iommu_dma_protection}.
     *
     * <p>True when a port to the outside belongs to a device that firmware protected until the operating system took
     * over. Source: {@code nhi_check_iommu}.
     */
    public boolean preBootProtection() {
        for (PciNode node : hierarchy.nodes()) {
            if (node.function().externalFacing()
                    && deviceCapable(node.address(), IommuCapability.PRE_BOOT_PROTECTION)) {
                return true;
            }
        }
        return false;
    }

    /**
     * Blocks all devices and frees the default domains.
     *
     * @throws IommuException EBUSY while a driver is bound, or a group is claimed or attached to another domain than
     *     its default one: nothing has changed; ETIMEDOUT or EIO when an invalidation did not complete: everything is
     *     blocked and freed nevertheless
     */
    @Override
    public void close() {
        for (IommuGroup group : groups) {
            if (group.busy()) {
                throw new IommuException(Errno.EBUSY, group + " is in use");
            }
        }
        RuntimeException failure = stopAll(null);
        if (failure != null) {
            throw failure;
        }
    }

    private @Nullable RuntimeException stopAll(@Nullable RuntimeException earlier) {
        RuntimeException failure = earlier;
        for (IommuGroup group : groups) {
            failure = group.stop(failure);
        }
        return failure;
    }

    private static boolean untrusted(PciHierarchy hierarchy, DeviceId id) {
        return id instanceof PciAddress address
                && hierarchy.find(address).map(PciNode::untrusted).orElse(false);
    }

    private static Optional<IommuDevice> probe(
            Collection<? extends Iommu> iommus, Function<Iommu, Optional<IommuDevice>> question) {
        for (Iommu iommu : iommus) {
            Optional<IommuDevice> device = question.apply(iommu);
            if (device.isPresent()) {
                return device;
            }
        }
        return Optional.empty();
    }

    private static void start(IommuGroup group, DefaultDomainPolicy policy) {
        for (IommuDevice device : group.devices()) {
            if (device.iommu() != group.iommu()) {
                throw new IommuException(Errno.EINVAL, group + " has devices of two IOMMU drivers");
            }
        }
        group.start(policy);
    }
}
