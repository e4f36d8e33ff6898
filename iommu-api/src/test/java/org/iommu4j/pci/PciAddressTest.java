// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.pci;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PciAddressTest {
    @Test
    void theUsualFormsAreRead() {
        assertThat(PciAddress.parse("0001:02:1f.7"))
                .isEqualTo(new PciAddress(1, 2, 0x1f, 7))
                .hasToString("0001:02:1f.7");
        assertThat(PciAddress.parse("02:00.0")).hasToString("0000:02:00.0");
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "0000:02:20.0", "0000:02:00.8", "2:00.0", "0000:02:00", "gpu", "0000:02:00.0 "})
    void anythingElseIsRefusedWithTheTextInTheMessage(String text) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> PciAddress.parse(text))
                .withMessageContaining("'" + text + "'");
    }

    @Test
    void aRequesterIdIsBusDeviceFunction() {
        PciAddress address = new PciAddress(0, 2, 3, 4);
        assertThat(address.requesterId()).isEqualTo(0x021c);
        assertThat(PciAddress.of(0, 0x021c)).isEqualTo(address);
    }
}
