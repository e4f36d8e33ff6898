// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Stream;
import org.iommu4j.DecisionSource;
import org.iommu4j.Errno;
import org.iommu4j.IommuCapability;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuException;
import org.iommu4j.Prot;
import org.iommu4j.device.DeviceId;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.vfio.iommufd.BoundDevice;
import org.iommu4j.vfio.iommufd.DmaBuf;
import org.iommu4j.vfio.iommufd.IommufdAccess;
import org.iommu4j.vfio.support.Failures;
import org.iommu4j.vfio.type1.EmulatedGroup;
import org.jspecify.annotations.Nullable;

/**
 * A device that is registered with VFIO.
 *
 * <p>While it is open ({@link VfioGroup#openDevice}) its user reads and writes its configuration space and resets it,
 * and the driver of an emulated one pins memory of its container. It is then a file that a VMM adds to KVM's device,
 * one file however often it is open; KVM does not keep it open. Thread-safe. Not modelled: accesses to regions other
 * than configuration space, regions of its own kind (Intel's graphics have some), and interrupts that come. Source:
 * {@code struct vfio_device}, {@code drivers/vfio/pci/vfio_pci_core.c}.
 */
public final class VfioDevice implements VfioFile {
    /** The most pages that one call pins in a container. Source: {@code VFIO_PIN_PAGES_MAX_ENTRIES}. */
    public static final int MOST_PINS = 512;

    private static final long PAGE_SIZE = 4096;

    private final Vfio vfio;
    private final RegisteredGroup group;
    private final DeviceId id;
    private final @Nullable IommuDevice device;
    private final @Nullable VfioPciFunction function;
    private final @Nullable EmulatedGroup driver;

    /** How many times it is open; written under VFIO's lock. */
    volatile int openCount;

    /** Its place in the iommufd that serves as its group's container, while it is open; under VFIO's lock. */
    @Nullable
    BoundDevice bound;

    /** The same of an emulated device; written under VFIO's lock. */
    volatile @Nullable IommufdAccess access;

    VfioDevice(
            Vfio vfio,
            RegisteredGroup group,
            DeviceId id,
            @Nullable IommuDevice device,
            @Nullable VfioPciFunction function,
            @Nullable EmulatedGroup driver) {
        this.vfio = vfio;
        this.group = group;
        this.id = id;
        this.device = device;
        this.function = function;
        this.driver = driver;
    }

    /** Returns the IOMMU's device; empty for an emulated device, and where no IOMMU translates for it. */
    public Optional<IommuDevice> device() {
        return Optional.ofNullable(device);
    }

    /** Returns its identity: a PCI address for vfio-pci, a name for vfio-platform and emulated devices. */
    public DeviceId id() {
        return id;
    }

    /** Returns the number of its group, for {@link Vfio#openGroup}. */
    public int groupId() {
        return group.id;
    }

    /** Returns the prediction that a domain of this device will block no-snoop; false where it has no IOMMU. */
    public boolean canEnforceCacheCoherency() {
        IommuDevice known = device;
        return known != null && known.iommu().capable(known, IommuCapability.ENFORCE_CACHE_COHERENCY);
    }

    @Override
    public List<DecisionSource> coherencySources() {
        return Stream.concat(Stream.of(vfio.rules().fileSource(false)), capabilitySource())
                .toList();
    }

    /** Returns where its driver decides about the prediction, where it says so. */
    Stream<DecisionSource> capabilitySource() {
        IommuDevice known = device;
        return known == null ? Stream.empty() : known.iommu().enforcementCapabilitySource().stream();
    }

    /** Returns false. */
    @Override
    public boolean isGroup() {
        return false;
    }

    /** {@inheritDoc} It is the prediction for the device. */
    @Override
    public boolean enforcedCoherent() {
        return canEnforceCacheCoherency();
    }

    /**
     * Checks that it is open; a reference does not keep it open.
     *
     * @throws IommuException EBADF (it is not open)
     */
    @Override
    public void hold() {
        synchronized (vfio.lock) {
            checkOpen();
        }
    }

    // ---- calls of an open device -----------------------------------------------------------------------------------

    /**
     * Returns what the device has. Source: {@code VFIO_DEVICE_GET_INFO}.
     *
     * @throws IommuException EBADF (it is not open)
     */
    public VfioDeviceInfo info() {
        return info(VfioDeviceInfo.MIN_SIZE);
    }

    /**
     * Returns what the device has, to a caller who names the size of the structure.
     *
     * @param argsz how many bytes the caller has
     * @throws IommuException EBADF (it is not open), EINVAL (fewer than {@link VfioDeviceInfo#MIN_SIZE})
     */
    public VfioDeviceInfo info(int argsz) {
        synchronized (vfio.lock) {
            checkOpen();
            if (Integer.compareUnsigned(argsz, VfioDeviceInfo.MIN_SIZE) < 0) {
                throw new IommuException(Errno.EINVAL, "GET_INFO with " + argsz + " bytes, expected at least 16");
            }
            VfioPciFunction pci = function;
            return pci == null
                    ? new VfioDeviceInfo(0, 0, 0)
                    : new VfioDeviceInfo(
                            VfioDeviceInfo.PCI | (pci.resets() ? VfioDeviceInfo.RESET : 0),
                            PciRegions.COUNT,
                            PciInterrupts.COUNT);
        }
    }

    /**
     * Returns what a region is, to a caller with room for all that is said. Source: {@code
     * VFIO_DEVICE_GET_REGION_INFO}.
     *
     * @throws IommuException as {@link #regionInfo(int, int)}
     */
    public VfioRegionInfo regionInfo(int index) {
        return regionInfo(index, VfioRegionInfo.MIN_SIZE + VfioRegionInfo.CAPABILITY_SIZE);
    }

    /**
     * Returns what a region is, to a caller who names the size of the structure.
     *
     * <p>Of a PCI function 0 to 5 are those of its base address registers, 6 its expansion ROM, 7 the configuration
     * space and 8 what VGA has at fixed addresses. A ROM is taken to have a valid image.
     *
     * @param argsz how many bytes the caller has
     * @throws IommuException EBADF (it is not open), EINVAL (fewer bytes than {@link VfioRegionInfo#MIN_SIZE}; no such
     *     region; 8, and it is no VGA controller)
     */
    public VfioRegionInfo regionInfo(int index, int argsz) {
        synchronized (vfio.lock) {
            checkOpen();
            if (Integer.compareUnsigned(argsz, VfioRegionInfo.MIN_SIZE) < 0) {
                throw new IommuException(
                        Errno.EINVAL, "GET_REGION_INFO with " + argsz + " bytes, expected at least 32");
            }
            return openFunction().regions.info(index, argsz);
        }
    }

    /**
     * Returns what a kind of interrupts is. Source: {@code VFIO_DEVICE_GET_IRQ_INFO}.
     *
     * @throws IommuException as {@link #interruptInfo(int, int)}
     */
    public VfioInterruptInfo interruptInfo(int index) {
        return interruptInfo(index, VfioInterruptInfo.MIN_SIZE);
    }

    /**
     * Returns what a kind of interrupts is, to a caller who names the size of the structure.
     *
     * @param argsz how many bytes the caller has
     * @throws IommuException EBADF (it is not open), EINVAL (fewer bytes than {@link VfioInterruptInfo#MIN_SIZE}; no
     *     such kind; 3, and it is no PCI Express function)
     */
    public VfioInterruptInfo interruptInfo(int index, int argsz) {
        synchronized (vfio.lock) {
            checkOpen();
            if (Integer.compareUnsigned(argsz, VfioInterruptInfo.MIN_SIZE) < 0) {
                throw new IommuException(Errno.EINVAL, "GET_IRQ_INFO with " + argsz + " bytes, expected at least 16");
            }
            return openFunction().interruptInfo(index, vfio.rules().growsVectors());
        }
    }

    /**
     * Exports parts of a region for other devices. Source: {@code VFIO_DEVICE_FEATURE} with {@code
     * VFIO_DEVICE_FEATURE_DMA_BUF}, {@code vfio_pci_core_feature_dma_buf}.
     *
     * <p>They are revoked while the device's memory does not answer: while Memory Space Enable is clear, which is the
     * user's. A reset revokes them for a moment, and the last close for good. What is mapped then is gone. Power states
     * are not modelled.
     *
     * @param region 0 to 5
     * @param flags 0
     * @param ranges at least one; iommufd takes one alone
     * @throws IommuException EBADF (it is not open), ENOTTY (before 6.19, or it is no PCI function), EINVAL (a flag, no
     *     range), ENODEV (no such region; since 7.1 also one that opens nothing), EINVAL (an empty or misaligned range,
     *     or too many bytes; the region is no memory), EOVERFLOW (a range wraps around), EINVAL (one ends behind the
     *     region)
     */
    public DmaBuf exportDmaBuf(int region, int flags, List<DmaBufRange> ranges) {
        Objects.requireNonNull(ranges, "ranges");
        synchronized (vfio.lock) {
            checkOpen();
            VfioPciFunction pci = function;
            if (pci == null || !vfio.rules().exportsDmaBufs()) {
                throw new IommuException(Errno.ENOTTY, id + " has no such feature");
            }
            if (flags != 0 || ranges.isEmpty()) {
                throw new IommuException(
                        Errno.EINVAL, "flags 0x" + Integer.toHexString(flags) + ", " + ranges.size() + " ranges");
            }
            if (region < 0
                    || region >= PciRegions.BARS
                    || (vfio.rules().claimsExportedBars()
                            && pci.regions.bar(region).size() == 0)) {
                throw new IommuException(Errno.ENODEV, "region " + region + " of " + id + " can't be exported");
            }
            return pci.exports.export(pci.regions.bar(region), ranges, pci.answers());
        }
    }

    /**
     * Returns the configuration space as vfio-pci shows it. What a user may not write stays as it is.
     *
     * <p>Enable No Snoop in Device Control is the user's, as is bus mastering. Its accesses are refused with EBADF once
     * the device is closed, and with EINVAL outside of it or misaligned. A write that revokes dma-bufs fails as {@link
     * DmaBuf#revoke} does, and is done nevertheless. Source: {@code vfio_pci_config_rw}.
     *
     * @throws IommuException EBADF (the device is not open), EINVAL (it is no PCI function)
     */
    public ConfigSpace config() {
        synchronized (vfio.lock) {
            VfioPciFunction pci = openFunction();
            return new ConfigSpace() {
                @Override
                public int size() {
                    return pci.size();
                }

                @Override
                public int read(int offset, int bytes) {
                    synchronized (vfio.lock) {
                        checkOpen();
                        checkRange(pci, offset, bytes);
                        return pci.read(offset, bytes);
                    }
                }

                @Override
                public void write(int offset, int bytes, int value) {
                    synchronized (vfio.lock) {
                        checkOpen();
                        checkRange(pci, offset, bytes);
                        pci.write(offset, bytes, value);
                    }
                }
            };
        }
    }

    private static void checkRange(VfioPciFunction pci, int offset, int bytes) {
        if ((bytes != 1 && bytes != 2 && bytes != 4)
                || offset < 0
                || offset % bytes != 0
                || offset + bytes > pci.size()) {
            throw new IommuException(
                    Errno.EINVAL,
                    bytes + " bytes at 0x" + Integer.toHexString(offset) + " of a configuration space of 0x"
                            + Integer.toHexString(pci.size()));
        }
    }

    /**
     * Resets the device; its configuration is afterwards what it was. Source: {@code VFIO_DEVICE_RESET}.
     *
     * @throws IommuException EBADF (it is not open), EINVAL (there is no way to reset it alone); ETIMEDOUT or EIO as
     *     {@link DmaBuf#revoke}: it is reset nevertheless
     */
    public void reset() {
        synchronized (vfio.lock) {
            openFunction().reset();
        }
    }

    /**
     * Pins memory of the container for the driver of this emulated device.
     *
     * @param iova the first page's address, a multiple of 4 KiB
     * @param prot {@link org.iommu4j.Prot} bits that the mapping must have
     * @param frames receives the physical address of each page; its length is their number
     * @throws IommuException EBADF (it is not open), EINVAL (no page; it is not emulated), E2BIG (more than {@link
     *     #MOST_PINS} pages of a container), and as {@link org.iommu4j.vfio.type1.Type1Iommu#pinPages}; in an iommufd
     *     as {@link IommufdAccess#pinPages}
     */
    public void pinPages(long iova, int prot, long[] frames) {
        Objects.requireNonNull(frames, "frames");
        IommufdAccess through = access;
        if (frames.length == 0) {
            throw new IommuException(Errno.EINVAL, "pinning no page");
        }
        if (through == null) {
            VfioContainer container = containerOfEmulated();
            if (frames.length > MOST_PINS) {
                throw new IommuException(Errno.E2BIG, "pinning " + frames.length + " pages, expected at most 512");
            }
            container.pinPages(iova, prot, frames);
            return;
        }
        long[] pinned = through.pinPages(iova & -PAGE_SIZE, frames.length * PAGE_SIZE, (prot & Prot.WRITE) != 0);
        System.arraycopy(pinned, 0, frames, 0, frames.length);
    }

    /**
     * Unpins memory that the driver of this emulated device has pinned; in an iommufd what one call has.
     *
     * @throws IommuException EBADF (it is not open), EINVAL (it is not emulated)
     */
    public void unpinPages(long iova, int count) {
        IommufdAccess through = access;
        if (through == null) {
            containerOfEmulated().unpinPages(iova, count);
        } else {
            through.unpinPages(iova & -PAGE_SIZE, count * PAGE_SIZE, true);
        }
    }

    private VfioContainer containerOfEmulated() {
        // Without VFIO's lock: a driver unpins pages while a container that unmaps holds its own lock.
        checkOpen();
        VfioGroup open = group.open;
        VfioContainer container = open == null ? null : open.container();
        if (driver == null || container == null) {
            throw new IommuException(Errno.EINVAL, id + " is no emulated device of a container");
        }
        return container;
    }

    private VfioPciFunction openFunction() {
        checkOpen();
        VfioPciFunction pci = function;
        if (pci == null) {
            throw new IommuException(Errno.EINVAL, id + " is no PCI function");
        }
        return pci;
    }

    private void checkOpen() {
        if (openCount == 0) {
            throw new IommuException(Errno.EBADF, id + " is not open");
        }
    }

    // ---- calls of VFIO ---------------------------------------------------------------------------------------------

    void opened() {
        synchronized (vfio.lock) {
            if (openCount == 0 && function != null) {
                function.enable();
            }
            openCount++;
        }
    }

    /**
     * It is closed one time, and with the last leaves its iommufd.
     *
     * @throws IommuException as {@link BoundDevice#unbind} and {@link DmaBuf#revoke}; it is closed nevertheless
     */
    void closed() {
        synchronized (vfio.lock) {
            IommufdAccess through = access;
            if (openCount == 1 && through != null) {
                // The driver is still there, and is asked to unpin everything.
                through.close();
                access = null;
            }
            openCount--;
            RuntimeException disabled = openCount == 0 && function != null ? function.disable() : null;
            RuntimeException failure = null;
            BoundDevice leaving = bound;
            if (openCount == 0 && leaving != null) {
                bound = null;
                failure = Failures.run(null, leaving::unbind);
            }
            if (disabled != null) {
                failure = Failures.joined(failure, disabled);
            }
            if (failure != null) {
                throw failure;
            }
        }
    }

    /** A mapping of the container is about to go. */
    void unmapped(long iova, long size) {
        if (driver != null && openCount != 0) {
            driver.unmapped(iova, size);
        }
    }

    @Override
    public String toString() {
        return id.toString();
    }
}
