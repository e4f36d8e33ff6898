// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import org.iommu4j.IommuDomain;
import org.iommu4j.vfio.support.Failures;

/** A domain that holds all mappings of an IOAS. Source: {@code struct iommufd_hwpt_paging}. */
final class PagingHwpt extends Hwpt {
    private final Ioas ioas;
    private final boolean automatic;
    private final boolean nestParent;
    private boolean enforced;
    private boolean filled;
    private boolean gone;

    /**
     * Makes it around an empty domain; {@link #fill} maps the areas.
     *
     * @param automatic whether it lives from its first to its last device, and others may join it
     */
    PagingHwpt(Ioas ioas, IommuDomain domain, boolean automatic, boolean nestParent, boolean pasidCompatible) {
        super(domain, pasidCompatible);
        this.ioas = ioas;
        this.automatic = automatic;
        this.nestParent = nestParent;
        ioas.users++;
    }

    @Override
    String kind() {
        return "HWPT";
    }

    @Override
    Ioas ioas() {
        return ioas;
    }

    boolean isAutomatic() {
        return automatic;
    }

    boolean isNestParent() {
        return nestParent;
    }

    @Override
    boolean isEnforced() {
        return enforced;
    }

    /** Returns whether it was destroyed. */
    boolean isGone() {
        return gone;
    }

    @Override
    boolean enforce() {
        if (!enforced) {
            enforced = domain().cacheCoherencyEnforcement()
                    .map(control -> control.enforce())
                    .orElse(false);
        }
        return enforced;
    }

    /**
     * Maps the areas of the IOAS.
     *
     * @throws org.iommu4j.IommuException as {@link Ioas#addDomain}
     */
    void fill() {
        ioas.addDomain(domain());
        filled = true;
    }

    @Override
    void destroy() {
        gone = true;
        RuntimeException failure = null;
        if (filled) {
            failure = Failures.run(null, () -> ioas.removeDomain(domain()));
        }
        failure = free(failure);
        ioas.users--;
        if (failure != null) {
            throw failure;
        }
    }
}
