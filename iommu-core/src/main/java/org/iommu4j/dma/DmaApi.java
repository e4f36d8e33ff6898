// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.dma;

import java.util.List;
import java.util.Objects;
import org.iommu4j.Errno;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuException;
import org.iommu4j.core.IommuCore;
import org.iommu4j.core.IommuGroup;
import org.iommu4j.device.DeviceId;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.release.ReleaseRule;
import org.jspecify.annotations.Nullable;

/**
 * Binds kernel drivers to devices and provides DMA to them.
 *
 * <p>There is one for each core. It has the bounce buffers and the pool of coherent memory; which addresses of a
 * default domain are in use is kept with the domain. Time is what {@link #advance} says. Thread-safe.
 */
public final class DmaApi implements AutoCloseable {
    /** The mask of a device until its driver sets another: 32 bits. */
    public static final long DEFAULT_MASK = DmaParameters.DEFAULT.mask();

    private final IommuCore core;
    private final SystemMemory memory;
    private final FrameAllocator frames;
    private final DmaOptions options;
    private final BouncePool bounce;
    private final Object lock = new Object();
    private int bound;
    private @Nullable CoherentPool coherentPool;

    /** Makes the DMA API of a machine with the default options. */
    public DmaApi(IommuCore core, SystemMemory memory, FrameAllocator frames) {
        this(core, memory, frames, DmaOptions.DEFAULT);
    }

    /**
     * Makes the DMA API of a machine.
     *
     * @param core its groups
     * @param memory its memory, where coherent buffers are zeroed and bounce buffers filled
     * @param frames the frames of coherent and bounce buffers
     * @param options what the machine and the kernel's command line say
     */
    public DmaApi(IommuCore core, SystemMemory memory, FrameAllocator frames, DmaOptions options) {
        Objects.requireNonNull(core, "core");
        Objects.requireNonNull(memory, "memory");
        Objects.requireNonNull(frames, "frames");
        Objects.requireNonNull(options, "options");
        this.core = core;
        this.memory = memory;
        this.frames = frames;
        this.options = options;
        this.bounce = new BouncePool(memory, frames, options.bounceBytes());
    }

    /** Returns what the DMA API does differently from release to release. */
    public static List<ReleaseRule<?>> releaseRules() {
        return DmaRules.RULES;
    }

    /** Binds a driver to a device with a 32-bit mask. See {@link #bind(DeviceId, DmaParameters)}. */
    public DmaDevice bind(DeviceId id) {
        return bind(id, DmaParameters.DEFAULT);
    }

    /**
     * Binds a driver to a device with a mask.
     *
     * @param mask the last address that the device can send, 0xfff at least
     * @throws IommuException EINVAL (mask below a page), and as {@link #bind(DeviceId, DmaParameters)}
     */
    public DmaDevice bind(DeviceId id, long mask) {
        Objects.requireNonNull(id, "id");
        return bind(id, DmaParameters.DEFAULT.withMask(mask));
    }

    /**
     * Binds a driver to a device: the group's default domain is in use until the result is closed.
     *
     * @throws IommuException ENODEV (no IOMMU translates for the device), EPROBE_DEFER or EBUSY as {@link
     *     IommuGroup#useDefaultDomain}, ENOMEM (no frames for the pool that a device which is not coherent needs)
     */
    public DmaDevice bind(DeviceId id, DmaParameters parameters) {
        Objects.requireNonNull(id, "id");
        Objects.requireNonNull(parameters, "parameters");
        IommuDevice device = core.device(id).orElseThrow(() -> noIommu(id));
        IommuGroup group = core.group(id).orElseThrow(() -> noIommu(id));
        group.useDefaultDomain(device);
        try {
            CoherentPool pool = parameters.coherent() ? null : coherentPool();
            DmaDevice.Machine machine = new DmaDevice.Machine(memory, frames, bounce, pool, options);
            DmaDevice driver =
                    new DmaDevice(device, group, space(group), parameters, core.untrusted(id), machine, this::unbound);
            synchronized (lock) {
                bound++;
            }
            return driver;
        } catch (RuntimeException failure) {
            group.unuseDefaultDomain(device);
            throw failure;
        }
    }

    /**
     * Lets time pass: a lazy domain's ranges that have waited for 10 ms are flushed, and free.
     *
     * @param milliseconds 0 or more
     * @throws IommuException ETIMEDOUT or EIO when a flush did not complete: its ranges go on waiting, and other
     *     domains are flushed all the same; EPROBE_DEFER when core is closed
     */
    public void advance(long milliseconds) {
        if (milliseconds < 0) {
            throw new IllegalArgumentException(milliseconds + " ms, expected 0 or more");
        }
        RuntimeException failure = null;
        for (IommuGroup group : core.groups()) {
            try {
                DmaSpace space = space(group);
                if (space != null) {
                    space.advance(milliseconds);
                }
            } catch (RuntimeException thrown) {
                if (failure == null) {
                    failure = thrown;
                } else {
                    failure.addSuppressed(thrown);
                }
            }
        }
        if (failure != null) {
            throw failure;
        }
    }

    /** Returns how many unmapped ranges of all domains wait for a flush. */
    public int waitingForFlush() {
        int waiting = 0;
        for (IommuGroup group : core.groups()) {
            DmaSpace space = space(group);
            waiting += space == null ? 0 : space.waiting();
        }
        return waiting;
    }

    /** Returns how many pages are in use as bounce buffers. */
    public int bouncePages() {
        return bounce.takenPages();
    }

    /**
     * Frees the bounce buffers and the pool, but for what a device may still reach because an invalidation did not
     * complete.
     *
     * <p>Close it before its core. Closing again does nothing.
     *
     * @throws IommuException EBUSY while a driver is bound; nothing has changed
     */
    @Override
    public void close() {
        synchronized (lock) {
            if (bound != 0) {
                throw new IommuException(Errno.EBUSY, bound + " drivers are bound");
            }
            CoherentPool pool = coherentPool;
            if (pool != null) {
                pool.close();
                coherentPool = null;
            }
            bounce.close();
        }
    }

    private void unbound() {
        synchronized (lock) {
            bound--;
        }
    }

    private CoherentPool coherentPool() {
        synchronized (lock) {
            CoherentPool pool = coherentPool;
            if (pool == null) {
                pool = new CoherentPool(frames, options.atomicPoolBytes());
                coherentPool = pool;
            }
            return pool;
        }
    }

    /** Returns the addresses of a group's default domain, or null when addresses pass unchanged. */
    private @Nullable DmaSpace space(IommuGroup group) {
        return group.defaultDomain().type().isPaging()
                ? group.cookie(DmaSpace.class, domain -> new DmaSpace(domain, group, options))
                : null;
    }

    private static IommuException noIommu(DeviceId id) {
        return new IommuException(Errno.ENODEV, "no IOMMU translates for " + id);
    }
}
