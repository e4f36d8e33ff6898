// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.dma;

import java.util.List;
import java.util.Objects;
import org.iommu4j.spi.BootOptions;

/**
 * What the machine and the kernel's command line say to the DMA API.
 *
 * @param forcedac whether PCI devices get addresses beyond 32 bits at once: {@code iommu.forcedac}
 * @param cpus how many flush queues a lazy domain has, at least 1; threads are spread over them
 * @param bounceBytes how much memory bounce buffers may take, a multiple of 256 KiB; Linux: {@code swiotlb}, 64 MiB
 * @param atomicPoolBytes size of the pool for {@link DmaDevice#allocateCoherentAtomic} of devices that are not
 *     coherent, a power of two of pages up to 4 MiB; Linux: {@code coherent_pool}, at least 128 KiB
 * @param bridgeWindows addresses at which the PCI host bridge reaches its devices: DMA there would not reach memory
 * @param dmaRanges the only addresses that the PCI host bridge passes on to memory, none for all; they do not overlap
 */
public record DmaOptions(
        boolean forcedac,
        int cpus,
        long bounceBytes,
        long atomicPoolBytes,
        List<Window> bridgeWindows,
        List<Window> dmaRanges) {
    /** The least that bounce buffers take. */
    static final long BOUNCE_BLOCK = 256 << 10;

    private static final int MAX_CPUS = 4096;
    private static final long PAGE = 4096;
    private static final long MAX_POOL = 4 << 20;

    /** One flush queue, 1 MiB of bounce buffers, a pool of 128 KiB, and a host bridge without windows. */
    public static final DmaOptions DEFAULT = new DmaOptions(false, 1, 1 << 20, 128 << 10, List.of(), List.of());

    /**
     * A range of bus addresses.
     *
     * @param first its first byte
     * @param last its last byte, inclusive
     */
    public record Window(long first, long last) {
        /** Checks that the range is not empty, unsigned. */
        public Window {
            if (Long.compareUnsigned(first, last) > 0) {
                throw new IllegalArgumentException("window ends before it starts: 0x" + Long.toHexString(first)
                        + " to 0x" + Long.toHexString(last));
            }
        }
    }

    /** Checks the numbers, and sorts the windows. */
    public DmaOptions {
        bridgeWindows = sorted(bridgeWindows, "bridgeWindows");
        dmaRanges = sorted(dmaRanges, "dmaRanges");
        if (cpus < 1 || cpus > MAX_CPUS) {
            throw new IllegalArgumentException(cpus + " CPUs, expected 1 to " + MAX_CPUS);
        }
        if (bounceBytes < 0 || bounceBytes % BOUNCE_BLOCK != 0 || bounceBytes > 1 << 30) {
            throw new IllegalArgumentException(
                    bounceBytes + " bytes of bounce buffers, expected a multiple of 256 KiB up to 1 GiB");
        }
        if (atomicPoolBytes < PAGE || atomicPoolBytes > MAX_POOL || Long.bitCount(atomicPoolBytes) != 1) {
            throw new IllegalArgumentException(
                    "a pool of " + atomicPoolBytes + " bytes, expected a power of two from 4 KiB to 4 MiB");
        }
        for (int i = 1; i < dmaRanges.size(); i++) {
            if (Long.compareUnsigned(dmaRanges.get(i).first, dmaRanges.get(i - 1).last) <= 0) {
                throw new IllegalArgumentException(dmaRanges.get(i) + " overlaps " + dmaRanges.get(i - 1));
            }
        }
    }

    /** Returns the defaults with what a kernel's command line changes: {@code iommu.forcedac}. */
    public static DmaOptions of(BootOptions boot) {
        return new DmaOptions(
                boot.isSet("iommu.forcedac"),
                DEFAULT.cpus,
                DEFAULT.bounceBytes,
                DEFAULT.atomicPoolBytes,
                DEFAULT.bridgeWindows,
                DEFAULT.dmaRanges);
    }

    /** Returns these options with another number of flush queues. */
    public DmaOptions withCpus(int newCpus) {
        return new DmaOptions(forcedac, newCpus, bounceBytes, atomicPoolBytes, bridgeWindows, dmaRanges);
    }

    /** Returns these options with another limit of bounce buffers. */
    public DmaOptions withBounceBytes(long bytes) {
        return new DmaOptions(forcedac, cpus, bytes, atomicPoolBytes, bridgeWindows, dmaRanges);
    }

    /** Returns these options with a host bridge's windows. */
    public DmaOptions withBridge(List<Window> windows, List<Window> ranges) {
        return new DmaOptions(forcedac, cpus, bounceBytes, atomicPoolBytes, windows, ranges);
    }

    private static List<Window> sorted(List<Window> windows, String name) {
        Objects.requireNonNull(windows, name);
        return windows.stream()
                .sorted((a, b) -> Long.compareUnsigned(a.first, b.first))
                .toList();
    }
}
