// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.audit;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import org.iommu4j.audit.Audit;
import org.iommu4j.audit.AuditedDevice;
import org.iommu4j.audit.Guest;
import org.iommu4j.audit.Headline;
import org.iommu4j.audit.Hosts;
import org.iommu4j.spi.Answer;
import org.iommu4j.workbench.audit.AuditJson;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class UntranslatedFunctionsTest {
    private static final String HOST_BRIDGE = Hosts.function("00:00.0 Host bridge [0600]: Maker Host [1234:0001]");
    private static final String GRAPHICS =
            Hosts.function("00:02.0 VGA compatible controller [0300]: Maker Graphics [1234:0002]");
    private static final String CARD = Hosts.function("00:03.0 Ethernet controller [0200]: Maker Card [1234:0003]");

    @TempDir
    private Path folder;

    /** No guest can get it: there is nothing to say about one. */
    @Test
    void ofAFunctionThatNoUnitTranslatesForNoGuestIsCalledNonCoherent() throws IOException {
        Audit audit = new Hosts(folder)
                .ivrs("00:03.0")
                .lspci(HOST_BRIDGE, GRAPHICS, CARD)
                .audit("6.1", "00:02.0");

        AuditedDevice graphics = Hosts.device(audit, "00:02.0");
        assertThat(graphics.translated()).isEqualTo(Answer.NO);
        assertThat(graphics.guest()).isEqualTo(Guest.UNKNOWN);
        assertThat(Hosts.device(audit, "00:03.0").guest()).isEqualTo(Guest.COHERENT);
        assertThat(Headline.verdict(audit)).contains("UNKNOWN", "VFIO refuses it");
        for (JsonNode node : JsonMapper.shared().readTree(AuditJson.of(audit)).get("devices")) {
            if (node.get("address").asString().equals("0000:00:02.0")) {
                assertThat(node.get("enforceCacheCoherency").isNull()).isTrue();
                assertThat(node.get("guest").asString()).isEqualTo("UNKNOWN");
            }
        }
    }
}
