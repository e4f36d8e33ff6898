// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import java.util.List;
import org.iommu4j.IommuDomain;
import org.iommu4j.Prot;

/** Domains that map wrongly. */
final class MappingSaboteurs {
    private MappingSaboteurs() {}

    static List<Saboteur> all() {
        return List.of(
                Saboteur.of(
                        "map-5",
                        "grants writing where only reading was asked for",
                        IommuDomain.class,
                        "map",
                        call -> call.with(4, (int) call.number(4) | Prot.READ_WRITE)
                                .proceed()),
                Saboteur.of(
                        "map-7",
                        "maps without rights",
                        IommuDomain.class,
                        "map",
                        call -> (call.number(4) & Prot.READ_WRITE) == 0
                                ? call.with(4, Prot.READ).proceed()
                                : call.proceed()));
    }
}
