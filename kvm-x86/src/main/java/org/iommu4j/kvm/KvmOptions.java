// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.kvm;

import java.util.Objects;
import org.iommu4j.LinuxRelease;

/**
 * Options of a virtual machine.
 *
 * @param release the rules to follow
 * @param wbinvdExit whether the CPU can intercept WBINVD: always on SVM, on VMX a secondary control that early CPUs
 *     lack
 * @param ignoreGuestPat whether the quirk {@link KvmQuirk#IGNORE_GUEST_PAT} is on at first, its default; without effect
 *     where the release has none, on SVM, and on CPUs without self-snoop
 * @param cacheDisableIgnored whether the quirk {@link KvmQuirk#CD_NW_CLEARED} is on at first, its default
 */
public record KvmOptions(
        LinuxRelease release, boolean wbinvdExit, boolean ignoreGuestPat, boolean cacheDisableIgnored) {
    /** The newest release, on a CPU that intercepts WBINVD, with the quirks on. */
    public static final KvmOptions DEFAULT = new KvmOptions(LinuxRelease.NEWEST, true, true, true);

    /** Refuses null. */
    public KvmOptions {
        Objects.requireNonNull(release, "release");
    }

    /** Returns these options with another release. */
    public KvmOptions withRelease(LinuxRelease other) {
        return new KvmOptions(other, wbinvdExit, ignoreGuestPat, cacheDisableIgnored);
    }

    /** Returns these options on a CPU that intercepts WBINVD, or does not. */
    public KvmOptions withWbinvdExit(boolean supported) {
        return new KvmOptions(release, supported, ignoreGuestPat, cacheDisableIgnored);
    }

    /** Returns these options with the quirk about the guest's PAT on or off. */
    public KvmOptions withIgnoreGuestPat(boolean on) {
        return new KvmOptions(release, wbinvdExit, on, cacheDisableIgnored);
    }

    /** Returns these options with the quirk about CR0.CD on or off. */
    public KvmOptions withCacheDisableIgnored(boolean on) {
        return new KvmOptions(release, wbinvdExit, ignoreGuestPat, on);
    }
}
