// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuException;
import org.iommu4j.ReservedRegion;
import org.iommu4j.amd.DomainState.Attachment;
import org.iommu4j.amd.fmt.Command;
import org.iommu4j.capability.PageRequests;
import org.iommu4j.pci.PciAddress;
import org.jspecify.annotations.Nullable;

/**
 * A function that a unit translates for. The lock of the {@link Attacher} guards mutable state, except where stated
 * otherwise.
 */
final class AmdDevice implements IommuDevice {
    private final DriverState driver;
    private final PciAddress address;
    private final Requester requester;
    private final List<ReservedRegion> reservedRegions;
    private final boolean isolatedMsi;
    private final DeviceServices services;
    private final int maxPasids;
    private final @Nullable DevicePageRequests pageRequests;

    /** The use of its ordinary requests; null is blocked. */
    private @Nullable Attachment attachment;

    /** The uses of its requests with PASIDs, while its ordinary requests use a domain that allows them. */
    private final List<Attachment> pasids = new ArrayList<>();

    /**
     * Makes a device that is blocked.
     *
     * @param lock the attacher's lock
     * @param requesterIds the requester ids of its requests, its own first
     */
    AmdDevice(
            DriverState driver,
            Object lock,
            PciAddress address,
            AmdUnit unit,
            DeviceTable table,
            int[] requesterIds,
            List<ReservedRegion> reservedRegions,
            boolean isolatedMsi,
            DeviceServices services,
            int maxPasids) {
        this.driver = driver;
        this.address = address;
        this.reservedRegions = reservedRegions;
        this.isolatedMsi = isolatedMsi;
        this.services = services;
        this.requester = new Requester(address, unit, table, requesterIds, new DeviceTlb(address, services));
        this.maxPasids = maxPasids;
        this.pageRequests = maxPasids != 0 && services.hasAts()
                ? DevicePageRequests.of(driver, lock, requester, services.config(), id -> pasid(id) != null)
                : null;
    }

    /**
     * Returns this driver's object for a device that a user passes in.
     *
     * @throws IommuException ENODEV when it belongs to another driver
     */
    static AmdDevice own(IommuDevice device, DriverState driver) {
        if (device instanceof AmdDevice own && own.driver == driver) {
            return own;
        }
        throw new IommuException(Errno.ENODEV, "device " + device.id() + " belongs to another driver");
    }

    @Override
    public PciAddress id() {
        return address;
    }

    @Override
    public Iommu iommu() {
        return driver.iommu();
    }

    @Override
    public List<ReservedRegion> reservedRegions() {
        return reservedRegions;
    }

    @Override
    public boolean isolatedMsi() {
        return isolatedMsi;
    }

    @Override
    public int maxPasids() {
        return maxPasids;
    }

    @Override
    public Optional<String> virtualIommuUnit() {
        // amd_iommu_viommu_init came with the parents of nested domains.
        return driver.rules().nestParents() ? Optional.of(unit().id()) : Optional.empty();
    }

    @Override
    public Optional<PageRequests> pageRequests() {
        return Optional.ofNullable(pageRequests);
    }

    /** Returns the bits of word 0 of a device table entry that permit page requests, where PASIDs work. */
    long pageRequestBits() {
        return pageRequests == null ? 0 : pageRequests.entryWord0();
    }

    /** Permits the function to request translations, and pages where they are enabled. */
    void enableServices() {
        services.enable(maxPasids != 0);
        if (pageRequests != null) {
            pageRequests.resume();
        }
    }

    /** Stops the services that {@link #enableServices} started, page requests first. */
    void disableServices() {
        if (pageRequests != null) {
            pageRequests.suspend();
        }
        services.disable();
    }

    /**
     * Answers the page requests of a PASID that has left its domain.
     *
     * @throws IommuException ETIMEDOUT, EIO
     */
    void withdrawPageRequests(int pasid) {
        if (pageRequests != null) {
            pageRequests.withdraw(pasid);
        }
    }

    /** Returns the device's requester, its entry in the tables. */
    Requester requester() {
        return requester;
    }

    AmdUnit unit() {
        return requester.unit();
    }

    /** Returns the services of the function itself. */
    DeviceServices services() {
        return services;
    }

    // --- its uses ---

    @Nullable
    Attachment attachment() {
        return attachment;
    }

    void setAttachment(@Nullable Attachment newAttachment) {
        attachment = newAttachment;
    }

    @Nullable
    DomainState domain() {
        return attachment == null ? null : attachment.domain();
    }

    /** Returns its uses with PASIDs. */
    List<Attachment> pasids() {
        return pasids;
    }

    /** Returns its use with a PASID, or null. */
    @Nullable
    Attachment pasid(int pasid) {
        for (int i = 0; i < pasids.size(); i++) {
            if (pasids.get(i).pasid() == pasid) {
                return pasids.get(i);
            }
        }
        return null;
    }

    // --- invalidations, by commands to its unit ---

    /**
     * Invalidates the device's table entries, and everything that unit and device cached for its requests.
     *
     * @param domainId the domain whose pages are invalidated too, or {@link DomainIds#NONE}
     * @param tables the GCR3 table of the device's guest tables, or null
     * @return false when the unit is broken or off, or did not execute the commands in time
     */
    boolean forget(int domainId, @Nullable Gcr3Table tables) {
        UnitCommands commands = unit().commands();
        synchronized (commands) {
            CommandBatch batch = commands.begin();
            requester.addEntries(batch, domainId);
            if (tables != null) {
                addGuest(batch, tables);
            }
            requester.addIotlb(batch);
            return batch.complete();
        }
    }

    private void addGuest(CommandBatch batch, Gcr3Table tables) {
        long guestPages = Command.allPages() | Command.GN.mask();
        batch.add(Command.invalidatePages(tables.domainId()), Command.allPages());
        batch.add(Command.invalidateGuestPages(tables.domainId(), Gcr3Table.ORDINARY), guestPages);
        for (int i = 0; i < pasids.size(); i++) {
            int pasid = pasids.get(i).pasid();
            batch.add(Command.invalidateGuestPages(tables.domainId(), pasid), guestPages);
            requester.tlb().addForgetting(batch, pasid, Command.iotlbPages(guestPages));
        }
    }

    /**
     * Invalidates the translations of a PASID's guest table in unit and device.
     *
     * @return false when the unit is broken or off, or did not execute the commands in time
     */
    boolean forgetPasid(int pasid) {
        UnitCommands commands = unit().commands();
        synchronized (commands) {
            CommandBatch batch = commands.begin();
            requester.addGuestPages(batch, pasid, Command.allPages() | Command.GN.mask());
            return batch.complete();
        }
    }

    @Override
    public String toString() {
        return address.toString();
    }
}
