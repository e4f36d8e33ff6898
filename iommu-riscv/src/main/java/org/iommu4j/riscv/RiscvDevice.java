// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import java.util.List;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.ReservedRegion;
import org.iommu4j.device.DeviceId;
import org.jspecify.annotations.Nullable;

/** A device: its unit, the ids of its requests with their contexts, and the domain that it is in. */
final class RiscvDevice implements IommuDevice {
    /** Linux's driver reserves nothing, and IMSICs are addresses like any other ({@code get_resv_regions}: none). */
    static final List<ReservedRegion> RESERVED_REGIONS = List.of();

    /** No MSI of RISC-V is isolated: no interrupt domain of Linux says so. */
    static final boolean ISOLATED_MSI = false;

    private final Iommu iommu;
    private final DeviceId id;
    private final RiscvUnit unit;
    private final long[] ids;
    private final long[] contexts;
    private final boolean[] shared;

    /** Null while it is in none. Guarded by the attacher's monitor. */
    private @Nullable DomainState domain;

    /**
     * Makes a device that is in no domain.
     *
     * @param ids that its requests have
     * @param contexts the physical address of each id's context
     */
    RiscvDevice(Iommu iommu, DeviceId id, RiscvUnit unit, long[] ids, long[] contexts) {
        this.iommu = iommu;
        this.id = id;
        this.unit = unit;
        this.ids = ids;
        this.contexts = contexts;
        this.shared = new boolean[ids.length];
    }

    RiscvUnit unit() {
        return unit;
    }

    long[] ids() {
        return ids;
    }

    long[] contexts() {
        return contexts;
    }

    /** Returns, for the move under way, which ids another device goes on using. Guarded by the attacher's monitor. */
    boolean[] shared() {
        return shared;
    }

    @Nullable
    DomainState domain() {
        return domain;
    }

    void setDomain(@Nullable DomainState to) {
        domain = to;
    }

    /** Returns whether it is in a domain whose devices' requests pass. */
    boolean passes() {
        DomainState in = domain;
        return in != null && in.passes();
    }

    /** Returns whether its requests may have a context's id. */
    boolean uses(long context) {
        for (long own : contexts) {
            if (own == context) {
                return true;
            }
        }
        return false;
    }

    @Override
    public DeviceId id() {
        return id;
    }

    @Override
    public Iommu iommu() {
        return iommu;
    }

    @Override
    public List<ReservedRegion> reservedRegions() {
        return RESERVED_REGIONS;
    }

    @Override
    public boolean isolatedMsi() {
        return ISOLATED_MSI;
    }

    @Override
    public String toString() {
        return id.toString();
    }
}
