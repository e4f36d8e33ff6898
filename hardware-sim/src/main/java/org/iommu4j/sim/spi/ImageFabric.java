// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.spi;

import java.util.Objects;

/**
 * A memory image for a unit that must not change it: what it writes, accessed and dirty bits included, is swallowed.
 */
public class ImageFabric implements Fabric {
    private final Fabric image;

    /** Makes a view of an image, whose own methods for writing are never called. */
    public ImageFabric(Fabric image) {
        Objects.requireNonNull(image, "image");
        this.image = image;
    }

    @Override
    public boolean isMemory(long physicalAddress) {
        return image.isMemory(physicalAddress);
    }

    @Override
    public AccessStatus status(long physicalAddress, boolean snoop) {
        return image.status(physicalAddress, snoop);
    }

    @Override
    public long read(long physicalAddress, boolean snoop) {
        return image.read(physicalAddress, snoop);
    }

    @Override
    public final void write(long physicalAddress, long value, boolean snoop) {
        // an image stays as it is
    }

    @Override
    public final void write32(long physicalAddress, int value, boolean snoop) {
        // likewise
    }

    /** Says that it did, so that a walk that sets a bit goes on. */
    @Override
    public final boolean compareAndSet(long physicalAddress, long expected, long value, boolean snoop) {
        return true;
    }
}
