// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import org.iommu4j.Errno;
import org.iommu4j.HardwareInfo;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuException;
import org.iommu4j.ReservedRegion;
import org.iommu4j.capability.PageRequests;
import org.iommu4j.intel.fmt.PasidEntry;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PasidCapability;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.jspecify.annotations.Nullable;

/**
 * A function behind a unit. Its monitor guards the attachments of the function and of its PASIDs.
 *
 * <p>PASIDs are enabled in the function when it is probed, before ATS, as PCIe demands; its translation cache (ATS)
 * while it is in a domain that translates. Source: {@code iommu_enable_pci_pasid}, {@code iommu_enable_pci_ats}.
 */
final class IntelDevice implements IommuDevice {
    /** The number of {@code struct iommu_hw_info_vtd}. */
    private static final int HW_INFO_VTD = 1;

    /** Parents of nested domains take no read-only mappings: told of every unit. */
    private static final int ERRATA_772415_SPR17 = 1;

    private final PciAddress address;
    private final ConfigSpace config;
    private final DriverState driver;
    private final IntelUnit unit;
    private final List<ReservedRegion> reservedRegions;
    private final boolean isolatedMsi;
    private final Requester requester;
    private final @Nullable DevicePageRequests pageRequests;

    /** Attachments by PASID; read without the monitor to see whether a PASID is attached. */
    private final Map<Integer, AttachmentState> pasids = new ConcurrentHashMap<>();

    /** The attachment of ordinary requests. */
    private @Nullable AttachmentState attachment;

    private int translations;

    /**
     * Probes a function, and enables its PASIDs where its unit translates them.
     *
     * @param mayUseAts whether firmware and topology let the device have a translation cache
     */
    IntelDevice(
            PciFunction function,
            DriverState driver,
            IntelUnit unit,
            int[] aliases,
            List<ReservedRegion> reservedRegions,
            boolean isolatedMsi,
            boolean mayUseAts) {
        this.address = function.address();
        this.config = function.config();
        this.driver = driver;
        this.unit = unit;
        this.reservedRegions = List.copyOf(reservedRegions);
        this.isolatedMsi = isolatedMsi;
        int maxPasids = unit.translatesPasids() ? enablePasids(unit) : 0;
        DeviceTlb tlb = new DeviceTlb(
                config,
                aliases[0],
                mayUseAts && unit.ecap().deviceTlbs() && unit.ecap().queuedInvalidation());
        this.pageRequests = tlb.isSupported() && maxPasids > 0 && driver.rules().deliversPageRequests()
                ? DevicePageRequests.of(address, aliases[0], this::isAttached, config, unit.pageRequests())
                : null;
        this.requester = new Requester(aliases, tlb, maxPasids, pageRequests != null);
    }

    /**
     * Returns this driver's object for a device that a user passes in.
     *
     * @throws IommuException ENODEV when it belongs to another driver
     */
    static IntelDevice own(IommuDevice device, DriverState driver) {
        if (device instanceof IntelDevice own && own.driver == driver) {
            return own;
        }
        throw new IommuException(Errno.ENODEV, device.id() + " belongs to another driver");
    }

    private int enablePasids(IntelUnit unit) {
        @Nullable PasidCapability pasid = PasidCapability.of(config).orElse(null);
        if (pasid == null) {
            return 0;
        }
        pasid.enable();
        return 1 << Math.min(pasid.width(), unit.ecap().pasidBits());
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
        return requester.maxPasids();
    }

    /** Tells the unit's capabilities: {@code struct iommu_hw_info_vtd}. */
    @Override
    public HardwareInfo hardwareInfo() {
        long cap = unit.cap().value();
        long ecap = unit.ecap().value();
        return new HardwareInfo(
                HW_INFO_VTD,
                List.of(ERRATA_772415_SPR17, 0, (int) cap, (int) (cap >>> 32), (int) ecap, (int) (ecap >>> 32)));
    }

    @Override
    public Optional<PageRequests> pageRequests() {
        return Optional.ofNullable(pageRequests);
    }

    /** Returns whether a PASID is attached to a domain. */
    boolean isAttached(int pasid) {
        return pasids.containsKey(pasid);
    }

    /**
     * Answers the page requests of a PASID that has left its domain.
     *
     * @throws org.iommu4j.IommuException ETIMEDOUT or EIO
     */
    void withdrawPageRequests(int pasid) {
        if (pageRequests != null && pasid != PasidEntry.NO_PASID) {
            pageRequests.withdraw(pasid);
        }
    }

    /**
     * Turns off the device's page requests permanently: the driver is closed.
     *
     * @throws org.iommu4j.IommuException ETIMEDOUT or EIO
     */
    void closePageRequests() {
        if (pageRequests != null) {
            pageRequests.close();
        }
    }

    IntelUnit unit() {
        return unit;
    }

    /** Returns the device's requester, its entry in the unit's tables. */
    Requester requester() {
        return requester;
    }

    /** Returns whether firmware demands mappings that only the kernel may replace. */
    boolean isLockedByFirmware() {
        for (ReservedRegion region : reservedRegions) {
            if (region.type() == ReservedRegion.Type.DIRECT) {
                return true;
            }
        }
        return false;
    }

    // ---- attachments, under the device's monitor -------------------------------------------------------------------

    /** Returns the attachment of a PASID, null when it is blocked since the device was probed. */
    @Nullable
    AttachmentState attachment(int pasid) {
        return pasid == PasidEntry.NO_PASID ? attachment : pasids.get(pasid);
    }

    void setAttachment(int pasid, @Nullable AttachmentState next) {
        AttachmentState old = attachment(pasid);
        if (pasid == PasidEntry.NO_PASID) {
            attachment = next;
        } else if (next == null) {
            pasids.remove(pasid);
        } else {
            pasids.put(pasid, next);
        }
        translations += (next != null && next.translates() ? 1 : 0) - (old != null && old.translates() ? 1 : 0);
        requester.tlb().use(translations > 0);
    }

    /** Returns the device's translation cache. */
    DeviceTlb tlb() {
        return requester.tlb();
    }

    @Override
    public String toString() {
        return address.toString();
    }
}
