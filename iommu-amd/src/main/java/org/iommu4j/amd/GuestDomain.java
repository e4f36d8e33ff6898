// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import java.util.Optional;
import org.iommu4j.AttachResult;
import org.iommu4j.DecisionSource;
import org.iommu4j.DomainType;
import org.iommu4j.IommuDevice;
import org.iommu4j.amd.fmt.Command;
import org.iommu4j.amd.fmt.DeviceTableEntry;
import org.iommu4j.capability.CacheCoherencyEnforcement;
import org.iommu4j.capability.PasidAttachment;

/**
 * A domain with a guest (v2) page table, which answers that it blocks no-snoop but does not:
 * {@link AmdRules#V2_ANSWERS_AS_V1}.
 *
 * <p>The device table does not point to its table but to the GCR3 table of the device. Entries that units cache are
 * tagged with the GCR3 table's domain id and the PASID. So each use is invalidated separately.
 */
final class GuestDomain extends PagingDomain implements PasidAttachment {
    private final GuestPageTable table;
    private final String chosenBy;
    private final Optional<CacheCoherencyEnforcement> enforcement;
    private final Optional<PasidAttachment> pasids;

    /**
     * Makes a domain.
     *
     * @param chosenBy the name of the rule by which it has guest tables
     * @param attachesPasids whether it takes PASIDs of devices
     */
    GuestDomain(
            DriverState driver,
            Attacher attacher,
            DomainType type,
            int id,
            GuestPageTable table,
            String chosenBy,
            boolean attachesPasids) {
        super(driver, attacher, type, id, table);
        this.enforcement = driver.rules().enforcementOp() ? Optional.of(this::enforce) : Optional.empty();
        this.pasids = attachesPasids ? Optional.of(this) : Optional.empty();
        this.table = table;
        this.chosenBy = chosenBy;
    }

    @Override
    GuestPageTable table() {
        return table;
    }

    @Override
    public String format() {
        return "amd-guest-v2";
    }

    @Override
    public Optional<CacheCoherencyEnforcement> cacheCoherencyEnforcement() {
        return enforcement;
    }

    @Override
    public Optional<DecisionSource> enforcementSource() {
        return Optional.of(driver().rules().enforcementSource(chosenBy));
    }

    /** See {@link AmdRules#V2_ANSWERS_AS_V1}: it answers, but enforces nothing. */
    private boolean enforce() {
        checkOpen();
        return AmdRules.V2_ANSWERS_AS_V1;
    }

    @Override
    public Optional<PasidAttachment> pasidAttachment() {
        return pasids;
    }

    @Override
    void grow(int levels) {
        throw new IllegalStateException("a guest table has " + table.levels() + " levels, asked for " + levels);
    }

    @Override
    void addForgetting(CommandBatch batch, AmdUnit unit, long pages) {
        long guestPages = pages | Command.GN.mask();
        AttachmentList<Attachment> uses = attachments();
        for (int i = uses.size() - 1; i >= 0; i--) {
            Attachment use = uses.get(i);
            if (use != null && use.requester().unit() == unit) {
                use.requester().addGuestPages(batch, use.pasid(), guestPages);
            }
        }
    }

    // --- PasidAttachment ---

    @Override
    public AttachResult attach(IommuDevice device, int pasid) {
        return attacher().attachPasid(device, this, pasid);
    }

    @Override
    public void detach(IommuDevice device, int pasid) {
        attacher().detachPasid(device, this, pasid);
    }

    // --- for the driver, under the attacher's lock ---

    @Override
    long entryWord0() {
        return DeviceTableEntry.IDENTITY | DeviceTableEntry.GIOV.mask();
    }

    @Override
    boolean allowsPasids() {
        return true;
    }

    @Override
    long guestRoot() {
        return table.root();
    }
}
