// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.dma;

import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import org.iommu4j.Errno;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.core.IommuCore;
import org.iommu4j.core.IommuGroup;
import org.iommu4j.device.DeviceId;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.SystemMemory;
import org.jspecify.annotations.Nullable;

/**
 * Binds kernel drivers to devices and provides DMA to them.
 *
 * <p>There is one for each core: it records which addresses of the default domains are in use. Thread-safe.
 */
public final class DmaApi {
    /** The mask of a device until its driver sets another: 32 bits. */
    public static final long DEFAULT_MASK = 0xffff_ffffL;

    private final IommuCore core;
    private final SystemMemory memory;
    private final FrameAllocator frames;
    private final Map<IommuGroup, DmaSpace> spaces = new HashMap<>();

    /**
     * Makes the DMA API of a machine.
     *
     * @param core its groups
     * @param memory its memory, where coherent buffers are zeroed
     * @param frames the frames from which coherent buffers are allocated
     */
    public DmaApi(IommuCore core, SystemMemory memory, FrameAllocator frames) {
        Objects.requireNonNull(core, "core");
        Objects.requireNonNull(memory, "memory");
        Objects.requireNonNull(frames, "frames");
        this.core = core;
        this.memory = memory;
        this.frames = frames;
    }

    /** Binds a driver to a device with a 32-bit mask. See {@link #bind(DeviceId, long)}. */
    public DmaDevice bind(DeviceId id) {
        return bind(id, DEFAULT_MASK);
    }

    /**
     * Binds a driver to a device: the group's default domain is in use until the result is closed.
     *
     * @param id the device
     * @param mask the last address that the device can send, 0xfff at least
     * @throws IommuException ENODEV (no IOMMU translates for the device), EINVAL (mask below a page), EPROBE_DEFER or
     *     EBUSY as {@link IommuGroup#useDefaultDomain}
     */
    public DmaDevice bind(DeviceId id, long mask) {
        Objects.requireNonNull(id, "id");
        if (Long.compareUnsigned(mask, SystemMemory.FRAME_SIZE - 1) < 0) {
            throw new IommuException(
                    Errno.EINVAL, "DMA mask 0x" + Long.toHexString(mask) + " of " + id + ", expected a page");
        }
        IommuDevice device = core.device(id).orElseThrow(() -> noIommu(id));
        IommuGroup group = core.group(id).orElseThrow(() -> noIommu(id));
        group.useDefaultDomain(device);
        try {
            return new DmaDevice(device, group, space(group), mask, memory, frames);
        } catch (RuntimeException failure) {
            group.unuseDefaultDomain(device);
            throw failure;
        }
    }

    /** Returns the addresses of a group's default domain, or null when addresses pass unchanged. */
    private @Nullable DmaSpace space(IommuGroup group) {
        IommuDomain domain = group.defaultDomain();
        if (!domain.type().isPaging()) {
            return null;
        }
        synchronized (spaces) {
            return spaces.computeIfAbsent(group, key -> new DmaSpace(domain, key));
        }
    }

    private static IommuException noIommu(DeviceId id) {
        return new IommuException(Errno.ENODEV, "no IOMMU translates for " + id);
    }
}
