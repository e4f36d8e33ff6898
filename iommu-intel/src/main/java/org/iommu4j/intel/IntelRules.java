// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import org.iommu4j.DomainType;
import org.iommu4j.LinuxRelease;
import org.iommu4j.Prot;
import org.iommu4j.spi.CoherencyRule;

/**
 * What the VT-d driver does differently from release to release, as named rules.
 *
 * <p>Releases between those whose source was read are inferred from the dates of the commits that are named here.
 *
 * @param enforcement who may promise that no-snoop is blocked, and what makes it so
 * @param secondStageAttach what a device that can't block no-snoop meets at a second-stage domain that promised to
 * @param firstStageAttach the same at a first-stage domain
 * @param widthRefusal how a unit whose addresses are too narrow for a domain refuses it
 * @param pageSizes how the page sizes of units in one domain are compared: not until {@code domain_alloc_paging} of
 *     6.13 (a98db518dde2), for being alike until the check was split by stage in 6.17
 * @param walks the same for whether they snoop their walks; for being alike until the driver took the generic page
 *     tables
 * @param announcesByDomain whether a unit that must be told of new mappings stays out of a domain that announces none:
 *     from 6.17 on ("Optimize iotlb_sync_map"); before, every unit was asked at every mapping
 * @param lockedDevicesStayWithTheKernel whether a device with an RMRR that is not relaxable is kept out of UNMANAGED
 *     domains with EPERM ({@code device_is_rmrr_locked}); from 6.6 on the core keeps such devices from user space
 *     ("Remove rmrr check in domain attaching device path")
 * @param predictsEnforcement whether {@code ENFORCE_CACHE_COHERENCY} can be asked: from 6.2 on (4989764d8ed3)
 * @param writeOnlyMapsReadToo whether a write-only mapping is readable by the device as well: from 5.13 (eea53c581688)
 *     until the driver took the generic page tables; that this was in 6.19 is inferred, it is so in 6.3 and not in 7.1
 * @param firstStageForbidsExecution whether first-stage leaves have XD set: until 6.11 (e995fcde6070), when the manual
 *     had dropped execute requests
 * @param entryEnablesExecuteDisable whether a first stage's PASID entry has NXE set, without which XD is reserved: from
 *     6.3 (e06d24435596) until 6.11
 * @param unmanagedPrefersSecondStage whether an UNMANAGED domain gets a second stage where the units have both: until
 *     {@code domain_alloc_paging} of 6.13; until then also, the stage is chosen for all units of the machine alike
 * @param userDomainsAreSnooped whether the PASID entry of every UNMANAGED domain has PGSNP set, asked or not: until
 *     5.19 (0d647b33e74f)
 * @param attachesPasids whether paging domains take PASIDs: from 6.6 on (7d0c9da6c150)
 * @param nestsAndTracks whether user space may ask for nesting and for dirty tracking: from 6.7 on
 * @param deliversPageRequests whether whoever attaches a PASID may be given its page requests: with iommufd's page
 *     tables that have a fault handler, from 6.11 on; before, shared virtual addressing alone used them
 */
record IntelRules(
        Enforcement enforcement,
        AttachCheck secondStageAttach,
        AttachCheck firstStageAttach,
        AttachCheck widthRefusal,
        Comparison pageSizes,
        Comparison walks,
        boolean announcesByDomain,
        boolean lockedDevicesStayWithTheKernel,
        boolean predictsEnforcement,
        boolean writeOnlyMapsReadToo,
        boolean firstStageForbidsExecution,
        boolean entryEnablesExecuteDisable,
        boolean unmanagedPrefersSecondStage,
        boolean userDomainsAreSnooped,
        boolean attachesPasids,
        boolean nestsAndTracks,
        boolean deliversPageRequests) {

    /** How a device that does not fit is refused. */
    enum AttachCheck {
        /** Nobody looks. */
        NONE,
        /** With an errno that ends the caller's attempt: 5.19 to 6.2; EOPNOTSUPP for snooping, EFAULT for width. */
        HARD,
        /** With the EINVAL on which the caller may try another domain: from 6.3 on. */
        SOFT
    }

    /** How units in one domain are compared in something that its tables depend on. */
    enum Comparison {
        /** Not at all: the domain does what suits those that it knows of. */
        NONE,
        /** They must be alike. */
        ALIKE,
        /** Each must be able to do what the domain does. */
        ENOUGH
    }

    /** Who may promise that no-snoop is blocked, and what makes it so. */
    enum Enforcement {
        /**
         * Before 5.19 nobody can be asked. A leaf blocks no-snoop when it is mapped with {@link Prot#CACHE} and every
         * unit of the machine can ({@code domain->iommu_snooping}); CACHE_COHERENCY told the latter. One flag for two
         * things: kernel drivers that passed it lost no-snoop, callers that did not let guests use it.
         */
        BY_MAPPING,
        /** The series as posted: whether every unit of the machine can, whoever is attached (6043257b1de0). */
        WHOLE_MACHINE,
        /**
         * 5.19 to 6.6: what was promised stays; else every attached device's unit must have snoop control, none
         * attached is fine (fc0051cb9590, e80552267b63). Of a second stage, only what is mapped later blocks no-snoop.
         */
        ATTACHED_UNITS,
        /** 6.7 to 6.16: besides, a second stage in which something was ever mapped can't promise (e645c20e8e9c). */
        NOTHING_EVER_MAPPED,
        /** 6.17 to 7.0: the split into two ops lost the short cut for a second stage that promised already. */
        NOTHING_EVER_MAPPED_ASKED_AGAIN,
        /** 7.1: a second stage asks the attached devices' units alone, whatever is mapped. */
        ATTACHED_UNITS_ALONE
    }

    /**
     * Returns a release's rules.
     *
     * @throws IllegalArgumentException when they are not built
     */
    static IntelRules of(LinuxRelease release) {
        if (!release.isKnown()) {
            throw new IllegalArgumentException(
                    "no VT-d rules for Linux release '" + release + "'; known: " + LinuxRelease.known());
        }
        boolean allocatesForDevice = release.isAtLeast(6, 13);
        boolean genericTables = release.isAtLeast(6, 19);
        boolean conflicting = release.compareTo(LinuxRelease.SERIES_AS_POSTED) <= 0;
        AttachCheck refusal = release.isAtLeast(6, 3) ? AttachCheck.SOFT : AttachCheck.HARD;
        AttachCheck snoopRefusal = conflicting ? AttachCheck.NONE : refusal;
        return new IntelRules(
                enforcementOf(release),
                snoopRefusal,
                release.isAtLeast(7, 1) ? AttachCheck.NONE : snoopRefusal,
                refusal,
                comparison(allocatesForDevice, release.isAtLeast(6, 17)),
                comparison(allocatesForDevice, genericTables),
                release.isAtLeast(6, 17),
                !release.isAtLeast(6, 6),
                release.isAtLeast(6, 2),
                !genericTables,
                !release.isAtLeast(6, 11),
                release.isAtLeast(6, 3) && !release.isAtLeast(6, 11),
                !allocatesForDevice,
                conflicting,
                release.isAtLeast(6, 6),
                release.isAtLeast(6, 7),
                release.isAtLeast(6, 11));
    }

    private static Comparison comparison(boolean compared, boolean enough) {
        return !compared ? Comparison.NONE : enough ? Comparison.ENOUGH : Comparison.ALIKE;
    }

    private static Enforcement enforcementOf(LinuxRelease release) {
        if (release.isAtLeast(7, 1)) {
            return Enforcement.ATTACHED_UNITS_ALONE;
        }
        if (release.isAtLeast(6, 17)) {
            return Enforcement.NOTHING_EVER_MAPPED_ASKED_AGAIN;
        }
        if (release.isAtLeast(6, 7)) {
            return Enforcement.NOTHING_EVER_MAPPED;
        }
        if (release.isAtLeast(5, 19)) {
            return Enforcement.ATTACHED_UNITS;
        }
        return release.equals(LinuxRelease.SERIES_AS_POSTED) ? Enforcement.WHOLE_MACHINE : Enforcement.BY_MAPPING;
    }

    /** Returns whether a domain can be asked to block no-snoop. */
    boolean canBeAsked() {
        return enforcement != Enforcement.BY_MAPPING;
    }

    /**
     * Answers whether a domain with a second stage may promise that no-snoop is blocked.
     *
     * @param enforced whether it promised already
     * @param everMapped whether anything was ever mapped in it
     * @param attachedSnoop whether every unit behind its devices has snoop control; true for a domain without devices
     * @param machineSnoops whether every unit of the machine has snoop control or is in scalable mode
     */
    boolean mayEnforceSecondStage(boolean enforced, boolean everMapped, boolean attachedSnoop, boolean machineSnoops) {
        return switch (enforcement) {
            case BY_MAPPING -> false;
            case WHOLE_MACHINE -> machineSnoops;
            case ATTACHED_UNITS -> enforced || attachedSnoop;
            case NOTHING_EVER_MAPPED -> enforced || (attachedSnoop && !everMapped);
            case NOTHING_EVER_MAPPED_ASKED_AGAIN -> attachedSnoop && !everMapped;
            case ATTACHED_UNITS_ALONE -> attachedSnoop;
        };
    }

    /** Answers the same for a first stage, whose mappings do not matter: no-snoop is blocked by PASID entries. */
    boolean mayEnforceFirstStage(boolean enforced, boolean attachedSnoop, boolean machineSnoops) {
        return switch (enforcement) {
            case BY_MAPPING -> false;
            case WHOLE_MACHINE -> machineSnoops;
            case ATTACHED_UNITS, NOTHING_EVER_MAPPED, NOTHING_EVER_MAPPED_ASKED_AGAIN, ATTACHED_UNITS_ALONE ->
                enforced || attachedSnoop;
        };
    }

    /** Returns whether a second-stage leaf blocks no-snoop. */
    boolean leafSnoops(boolean enforced, int prot, boolean machineSnoops) {
        return enforcement == Enforcement.BY_MAPPING ? (prot & Prot.CACHE) != 0 && machineSnoops : enforced;
    }

    /** Returns whether a PASID entry blocks no-snoop: of a first stage that promised, or of any user's domain once. */
    boolean entrySnoops(boolean enforced, DomainType type, boolean firstStage) {
        return (firstStage && enforced) || (userDomainsAreSnooped && type == DomainType.UNMANAGED);
    }

    /** Answers {@link org.iommu4j.IommuCapability#CACHE_COHERENCY}. */
    boolean cacheCoherency(boolean machineSnoops) {
        return enforcement != Enforcement.BY_MAPPING || machineSnoops;
    }

    /** Returns the permissions that a mapping really gives. */
    int effective(int prot) {
        return writeOnlyMapsReadToo && (prot & Prot.WRITE) != 0 ? prot | Prot.READ : prot;
    }

    /** Returns whose snoop control decides about a device, in the words of a description. */
    CoherencyRule coherencyRule() {
        return switch (enforcement) {
            case BY_MAPPING, WHOLE_MACHINE -> CoherencyRule.PER_MACHINE;
            case ATTACHED_UNITS, NOTHING_EVER_MAPPED, NOTHING_EVER_MAPPED_ASKED_AGAIN, ATTACHED_UNITS_ALONE ->
                predictsEnforcement ? CoherencyRule.PER_DEVICE : CoherencyRule.PER_DOMAIN;
        };
    }
}
