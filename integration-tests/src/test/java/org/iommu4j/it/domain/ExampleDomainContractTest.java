// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import java.util.List;

/** The contract on the vendor of {@code examples}. */
class ExampleDomainContractTest extends IommuDomainContract {
    static List<Configuration> configurations() {
        return List.of(
                DomainConfigurations.example("minimal"),
                DomainConfigurations.example("minimal").flat(),
                DomainConfigurations.smallest(),
                DomainConfigurations.smallest().flat());
    }
}
