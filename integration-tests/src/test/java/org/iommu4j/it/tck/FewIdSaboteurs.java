// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.capability.PasidAttachment;
import org.iommu4j.tck.Ability;

/** Drivers that are wrong when a unit has no domain id left. */
final class FewIdSaboteurs {
    private FewIdSaboteurs() {}

    static List<Saboteur> all() {
        return List.of(
                Saboteur.of(
                                "attach-pasid-6",
                                "has EBUSY where there is no id",
                                PasidAttachment.class,
                                "attach",
                                Refusals.swap(Errno.ENOSPC, Errno.EBUSY))
                        .where(Ability.ID_PER_ATTACHMENT, Ability.PASID),
                Saboteur.of("attach-pasid-8", "detaches a PASID for which there is no id", () -> {
                            Map<Integer, PasidAttachment> homes = new HashMap<>();
                            return List.of(new Interposer.Change(PasidAttachment.class, "attach", call -> {
                                int pasid = (int) call.number(1);
                                try {
                                    Object result = call.proceed();
                                    homes.put(pasid, call.target(PasidAttachment.class));
                                    return result;
                                } catch (IommuException e) {
                                    PasidAttachment home = homes.remove(pasid);
                                    if (e.errno() == Errno.ENOSPC && home != null) {
                                        home.detach(call.argument(0, IommuDevice.class), pasid);
                                    }
                                    throw e;
                                }
                            }));
                        })
                        .where(Ability.ID_PER_ATTACHMENT, Ability.PASID),
                Saboteur.of("nest-7", "has EBUSY where there is no id", IommuDomain.class, "attach", call -> {
                            try {
                                return call.proceed();
                            } catch (IommuException e) {
                                throw e.errno() == Errno.ENOSPC
                                                && call.target(IommuDomain.class).type() == DomainType.NESTED
                                        ? new IommuException(Errno.EBUSY, "sabotaged", e)
                                        : e;
                            }
                        })
                        .where(Ability.ID_PER_ATTACHMENT, Ability.NESTING));
    }
}
