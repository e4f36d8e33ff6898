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
import org.iommu4j.amd.fmt.Command;
import org.iommu4j.capability.PageRequests;
import org.iommu4j.pci.PciAddress;
import org.jspecify.annotations.Nullable;

/** A function that a unit translates for. What changes is guarded by the lock of the {@link Attacher}, unless it says otherwise. */
final class AmdDevice implements IommuDevice {
    private final DriverState driver;
    private final PciAddress address;
    private final AmdUnit unit;
    private final DeviceTable table;
    private final int[] requesterIds;
    private final List<ReservedRegion> reservedRegions;
    private final boolean isolatedMsi;
    private final DeviceServices services;
    private final DeviceTlb tlb;
    private final int maxPasids;
    private final @Nullable DevicePageRequests pageRequests;

    /** What its ordinary requests use; null is blocked. */
    private @Nullable Attachment attachment;

    /** What its requests with PASIDs use, while its ordinary requests use something that allows them. */
    private final List<Attachment> pasids = new ArrayList<>();

    /** Where its guest tables are, while it uses any; read without the lock by who makes units forget. */
    private volatile @Nullable Gcr3Table gcr3;

    /**
     * Makes a device that is blocked.
     *
     * @param lock that of the attacher
     * @param requesterIds its own first
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
        this.unit = unit;
        this.table = table;
        this.requesterIds = requesterIds.clone();
        this.reservedRegions = reservedRegions;
        this.isolatedMsi = isolatedMsi;
        this.services = services;
        this.tlb = new DeviceTlb(unit.commands(), address, services);
        this.maxPasids = maxPasids;
        this.pageRequests = maxPasids != 0 && services.hasAts() ? DevicePageRequests.of(this, driver, lock) : null;
    }

    /**
     * Takes a device back from its user.
     *
     * @throws IommuException ENODEV when it belongs to another driver
     */
    static AmdDevice own(IommuDevice device, DriverState driver) {
        if (device instanceof AmdDevice own && own.driver == driver) {
            return own;
        }
        throw new IommuException(Errno.ENODEV, "device " + device.address() + " belongs to another driver");
    }

    @Override
    public PciAddress address() {
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
    public Optional<PageRequests> pageRequests() {
        return Optional.ofNullable(pageRequests);
    }

    /** Returns the bits of word 0 of a device table entry that let the device ask for pages, where PASIDs work. */
    long pageRequestBits() {
        return pageRequests == null ? 0 : pageRequests.entryWord0();
    }

    /** Lets the function ask for translations, and for pages where that is wanted. */
    void enableServices() {
        services.enable(maxPasids != 0);
        if (pageRequests != null) {
            pageRequests.resume();
        }
    }

    /** Stops what {@link #enableServices} started, page requests first. */
    void disableServices() {
        if (pageRequests != null) {
            pageRequests.suspend();
        }
        services.disable();
    }

    /**
     * Answers page requests that came of a PASID which has left its domain.
     *
     * @throws IommuException ETIMEDOUT, EIO
     */
    void withdrawPageRequests(int pasid) {
        if (pageRequests != null) {
            pageRequests.withdraw(pasid);
        }
    }

    AmdUnit unit() {
        return unit;
    }

    DeviceTable table() {
        return table;
    }

    /** Returns what the function itself brings. */
    DeviceServices services() {
        return services;
    }

    /** Returns its own IOTLB. */
    DeviceTlb tlb() {
        return tlb;
    }

    /** Returns whether its requests may carry an id. */
    boolean uses(int requesterId) {
        for (int id : requesterIds) {
            if (id == requesterId) {
                return true;
            }
        }
        return false;
    }

    /** Returns every id that its requests may carry, its own first. Not to be changed. */
    int[] requesterIds() {
        return requesterIds;
    }

    // --- what it uses ---

    @Nullable
    Attachment attachment() {
        return attachment;
    }

    void setAttachment(@Nullable Attachment newAttachment) {
        attachment = newAttachment;
    }

    @Nullable
    AmdDomain domain() {
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

    @Nullable
    Gcr3Table gcr3() {
        return gcr3;
    }

    void setGcr3(@Nullable Gcr3Table newGcr3) {
        gcr3 = newGcr3;
    }

    // --- what must be forgotten, by commands to its unit ---

    /**
     * Makes the unit forget the device's table entries, and all that unit and device cached for its requests.
     *
     * @param domainId the domain whose pages go too, or {@link DomainIds#NONE}
     * @param tables what the device's guest tables were found through, or null
     * @return false when the unit is broken or off, or did not do it in time
     */
    boolean forget(int domainId, @Nullable Gcr3Table tables) {
        UnitCommands commands = unit.commands();
        synchronized (commands) {
            if (commands.broken()) {
                return false;
            }
            boolean queued = true;
            for (int i = 0; queued && i < requesterIds.length; i++) {
                queued = commands.queue(Command.invalidateDevtabEntry(requesterIds[i]), 0);
            }
            if (queued && domainId != DomainIds.NONE) {
                queued = commands.queue(Command.invalidatePages(domainId), Command.allPages());
            }
            if (queued && tables != null) {
                queued = queueGuest(commands, tables);
            }
            return commands.run(queued && tlb.queue(Attachment.ORDINARY, Command.iotlbPages(Command.allPages())));
        }
    }

    private boolean queueGuest(UnitCommands commands, Gcr3Table tables) {
        long guestPages = Command.allPages() | Command.GN.mask();
        boolean queued = commands.queue(Command.invalidatePages(tables.domainId()), Command.allPages())
                && commands.queue(Command.invalidateGuestPages(tables.domainId(), Attachment.ORDINARY), guestPages);
        for (int i = 0; queued && i < pasids.size(); i++) {
            int pasid = pasids.get(i).pasid();
            queued = commands.queue(Command.invalidateGuestPages(tables.domainId(), pasid), guestPages)
                    && tlb.queue(pasid, Command.iotlbPages(guestPages));
        }
        return queued;
    }

    /**
     * Makes unit and device forget what a PASID's guest table said.
     *
     * @return false when the unit is broken or off, or did not do it in time
     */
    boolean forgetPasid(int pasid) {
        UnitCommands commands = unit.commands();
        synchronized (commands) {
            if (commands.broken()) {
                return false;
            }
            return commands.run(queueGuestPages(pasid, Command.allPages() | Command.GN.mask()));
        }
    }

    /**
     * Adds what makes the unit and the device's IOTLB forget pages of guest tables; under the monitor of the unit's
     * commands.
     *
     * @param word1 word 1 of the command, with GN
     * @return false when the buffer stayed full
     */
    boolean queueGuestPages(int pasid, long word1) {
        Gcr3Table tables = gcr3;
        if (tables == null) {
            // Not in use yet, or no more: then nothing is cached, or it was forgotten as a whole.
            return true;
        }
        return unit.commands().queue(Command.invalidateGuestPages(tables.domainId(), pasid), word1)
                && tlb.queue(
                        pasid,
                        pasid == Attachment.ORDINARY
                                ? Command.iotlbPages(word1) & ~Command.GN.mask()
                                : Command.iotlbPages(word1));
    }

    @Override
    public String toString() {
        return address.toString();
    }
}
