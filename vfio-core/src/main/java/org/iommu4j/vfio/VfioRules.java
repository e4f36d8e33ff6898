// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import java.util.List;
import org.iommu4j.Errno;
import org.iommu4j.LinuxRelease;
import org.iommu4j.vfio.type1.NoSnoopBlocking;
import org.iommu4j.vfio.type1.Type1Options;
import org.jspecify.annotations.Nullable;

/**
 * What of VFIO's behaviour depends on the release of Linux, all of it.
 *
 * <table>
 * <caption>From which release on</caption>
 * <tr><td>5.15</td><td>A container's domains are all made with {@code IOMMU_CACHE} or not, as the platform's units
 *     allow, and this is what {@code VFIO_DMA_CC_IOMMU} answers. A device needs no coherent DMA to be
 *     registered.</td></tr>
 * <tr><td>5.19</td><td>Every mapping has {@code IOMMU_CACHE}, which a device must be capable of; a domain is asked to
 *     enforce. So in the series as it was posted. A group is claimed from its kernel drivers, and those of its bridges
 *     count too ({@code iommu_device_use_default_domain}); before, VFIO looked at the drivers itself and passed bridges
 *     over ({@code vfio_dev_viable}).</td></tr>
 * <tr><td>6.2</td><td>A file vouches for what its devices are capable of, and no longer for its container
 *     (0d8227b622f3). </td></tr>
 * <tr><td>6.18</td><td>A range that wraps around is EOVERFLOW and no longer EINVAL, and one that ends where the address
 *     space does is unmapped (6012379ede6a, 1196f1f897d4, ef270ec44637; the release is inferred from their
 *     date).</td></tr>
 * </table>
 */
final class VfioRules {
    private final boolean asksDomains;
    private final boolean asksBridges;
    private final boolean filesAskDevices;
    private final boolean reachesTheEnd;

    private VfioRules(LinuxRelease release) {
        asksDomains = release.compareTo(LinuxRelease.SERIES_AS_POSTED) >= 0;
        asksBridges = release.isAtLeast(5, 19);
        filesAskDevices = release.isAtLeast(6, 2);
        reachesTheEnd = release.isAtLeast(6, 18);
    }

    /**
     * Returns the rules of a release.
     *
     * @throws IllegalArgumentException when none are built for it
     */
    static VfioRules of(LinuxRelease release) {
        if (!release.isKnown()) {
            throw new IllegalArgumentException(
                    "no VFIO rules for Linux release '" + release + "'; known: " + LinuxRelease.known());
        }
        return new VfioRules(release);
    }

    /**
     * Returns whether a device whose ordinary DMA is not coherent is refused. Source: {@code vfio_register_group_dev}.
     */
    boolean requiresCoherentDma() {
        return asksDomains;
    }

    /** Returns how type 1 behaves under these rules. */
    Type1Options type1(VfioOptions options) {
        return new Type1Options(
                options.allowUnsafeInterrupts(),
                options.dmaEntryLimit(),
                asksDomains ? NoSnoopBlocking.BY_DOMAIN : NoSnoopBlocking.BY_MAPPING,
                reachesTheEnd ? Errno.EOVERFLOW : Errno.EINVAL,
                reachesTheEnd);
    }

    /** Returns whether the driver of a bridge can stand against its group. */
    boolean asksBridges() {
        return asksBridges;
    }

    /** Returns whether a group's file vouches for what its devices are capable of, and not for its container. */
    boolean filesAskDevices() {
        return filesAskDevices;
    }

    /**
     * Returns whether a group's file vouches for coherency.
     *
     * <p>Up to 6.1 the container answers, and a group without one is believed: its user has not been allowed anything
     * yet. Source: {@code vfio_file_enforced_coherent}, {@code vfio_group_enforced_coherent}.
     *
     * @param container what the group is in, if anything
     * @param registered the group's devices
     */
    boolean enforcedCoherent(@Nullable VfioContainer container, List<VfioDevice> registered) {
        if (!filesAskDevices) {
            return container == null || container.checkExtension(VfioExtension.DMA_CC_IOMMU) == 1;
        }
        for (VfioDevice device : registered) {
            if (!device.canEnforceCacheCoherency()) {
                return false;
            }
        }
        return true;
    }
}
