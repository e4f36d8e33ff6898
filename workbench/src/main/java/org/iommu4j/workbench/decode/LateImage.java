// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.decode;

import java.util.function.Supplier;
import org.iommu4j.sim.spi.Fabric;
import org.jspecify.annotations.Nullable;

/**
 * A memory image that is opened when needed: a compressed image costs time and space, which are wasted before the
 * registers are recognised.
 */
public final class LateImage implements Fabric, AutoCloseable {
    private final Supplier<MemoryImage> opener;
    private @Nullable MemoryImage image;

    /** Makes an image that is not open yet. */
    public LateImage(Supplier<MemoryImage> opener) {
        this.opener = opener;
    }

    /**
     * Returns the image, open.
     *
     * @throws org.iommu4j.host.InputException when it can't be read
     */
    public MemoryImage open() {
        MemoryImage open = image;
        if (open == null) {
            open = opener.get();
            image = open;
        }
        return open;
    }

    @Override
    public boolean isMemory(long physicalAddress) {
        return open().isMemory(physicalAddress);
    }

    @Override
    public long read(long physicalAddress, boolean snoop) {
        return open().read(physicalAddress, snoop);
    }

    @Override
    public void write(long physicalAddress, long value, boolean snoop) {
        open().write(physicalAddress, value, snoop);
    }

    @Override
    public void write32(long physicalAddress, int value, boolean snoop) {
        open().write32(physicalAddress, value, snoop);
    }

    @Override
    public boolean compareAndSet(long physicalAddress, long expected, long value, boolean snoop) {
        return open().compareAndSet(physicalAddress, expected, value, snoop);
    }

    @Override
    public void close() {
        if (image != null) {
            image.close();
        }
    }
}
