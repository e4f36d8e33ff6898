// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.kvm;

import org.iommu4j.LinuxRelease;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.platform.MemoryType;

/**
 * What of KVM's decisions depends on the release of Linux, all of it. All of it concerns VMX: SVM has no memory type in
 * its second-stage tables, and the guest's own choice always holds.
 *
 * <table>
 * <caption>From which release on</caption>
 * <tr><td>5.15</td><td>While DMA is non-coherent the guest's MTRRs give the type, and where caching is off by CR0.CD it
 *     is write-back all the same, and the guest's PAT ignored, unless a quirk is off. Entries that are there stay as
 *     they are when DMA becomes non-coherent or coherent.</td></tr>
 * <tr><td>6.7</td><td>Such a change drops all entries (362ff6dca541). With caching off the guest's PAT is no longer
 *     ignored (c9f65a3f2d92).</td></tr>
 * <tr><td>6.11</td><td>MTRRs and CR0.CD do not matter any more (0a7b73559b39, e1548088ff54). That the guest's PAT
 *     always holds on a CPU with self-snoop (377b2f359d1f) was taken back before the release (9d70f3fec144), so it is
 *     no rule here.</td></tr>
 * <tr><td>6.16</td><td>The quirk {@code KVM_X86_QUIRK_IGNORE_GUEST_PAT}: where the VMM turned it off, the guest's PAT
 *     holds with coherent DMA too, and no change drops entries (the release is inferred from the date of the series).
 *     </td></tr>
 * </table>
 */
final class KvmRules {
    private final boolean dropsEntriesOnChange;
    private final boolean cachingOffIgnoresPat;
    private final boolean guestMtrrs;
    private final boolean guestPatQuirk;

    private KvmRules(LinuxRelease release) {
        dropsEntriesOnChange = release.isAtLeast(6, 7);
        cachingOffIgnoresPat = !release.isAtLeast(6, 7);
        guestMtrrs = !release.isAtLeast(6, 11);
        guestPatQuirk = release.isAtLeast(6, 16);
    }

    /**
     * Returns the rules of a release.
     *
     * @throws IllegalArgumentException when none are built for it
     */
    static KvmRules of(LinuxRelease release) {
        if (!release.isKnown()) {
            throw new IllegalArgumentException(
                    "no KVM rules for Linux release '" + release + "'; known: " + LinuxRelease.known());
        }
        return new KvmRules(release);
    }

    /**
     * Returns the type that a guest page gets when it is entered into the second-stage table. Source: {@code
     * vmx_get_mt_mask}; {@code svm_x86_ops} has no such operation.
     *
     * @param deviceMemory whether the page is a device's memory and not RAM
     * @param noncoherentDma whether DMA is non-coherent
     * @param cachingOff whether CR0.CD is set on the vCPU that touches the page
     * @param mtrr the type that the guest's MTRRs give the page
     */
    GuestMemoryType guestMemoryType(
            HardwareVirtualization virtualization,
            KvmOptions options,
            boolean deviceMemory,
            boolean noncoherentDma,
            boolean cachingOff,
            MemoryType mtrr) {
        if (virtualization == HardwareVirtualization.SVM) {
            return GuestMemoryType.GUEST_PAT;
        }
        if (deviceMemory) {
            return GuestMemoryType.UC;
        }
        if (!noncoherentDma) {
            return ignoresGuestPat(options) ? GuestMemoryType.WB_IPAT : GuestMemoryType.WB;
        }
        if (!guestMtrrs) {
            return GuestMemoryType.WB;
        }
        if (cachingOff) {
            if (!options.cacheDisableIgnored()) {
                return GuestMemoryType.UC;
            }
            return cachingOffIgnoresPat ? GuestMemoryType.WB_IPAT : GuestMemoryType.WB;
        }
        return mtrr == MemoryType.UC ? GuestMemoryType.UC : GuestMemoryType.WB;
    }

    /**
     * Returns whether all entries go when DMA becomes non-coherent or coherent. Source: {@code
     * kvm_noncoherent_dma_assignment_start_or_stop}.
     */
    boolean dropsEntriesWhenCoherencyChanges(HardwareVirtualization virtualization, KvmOptions options) {
        return virtualization == HardwareVirtualization.VMX && dropsEntriesOnChange && ignoresGuestPat(options);
    }

    /** Returns whether all entries go when a vCPU turns caching off or on. Source: {@code kvm_post_set_cr0}. */
    boolean dropsEntriesWhenCachingChanges(
            HardwareVirtualization virtualization, KvmOptions options, boolean noncoherentDma) {
        return virtualization == HardwareVirtualization.VMX
                && guestMtrrs
                && noncoherentDma
                && !options.cacheDisableIgnored();
    }

    /** Returns whether all entries go when the guest changes its MTRRs. Source: {@code update_mtrr}. */
    boolean dropsEntriesWhenMtrrsChange(HardwareVirtualization virtualization, boolean noncoherentDma) {
        return virtualization == HardwareVirtualization.VMX && guestMtrrs && noncoherentDma;
    }

    private boolean ignoresGuestPat(KvmOptions options) {
        return !guestPatQuirk || options.ignoreGuestPat();
    }
}
