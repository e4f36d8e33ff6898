// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.pci;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.stream.Stream;
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
        assertThat(PciAddress.parse("10000:e1:00.0"))
                .isEqualTo(new PciAddress(0x10000, 0xe1, 0, 0))
                .hasToString("10000:e1:00.0");
        assertThat(PciAddress.parse("7fffffff:00:00.0").segment()).isEqualTo(Integer.MAX_VALUE);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "0000:02:20.0",
                "0000:02:00.8",
                "2:00.0",
                "0000:02:00",
                "gpu",
                "0000:02:00.0 ",
                "80000000:02:00.0",
                "100000000:02:00.0"
            })
    void anythingElseIsRefusedWithTheTextInTheMessage(String text) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> PciAddress.parse(text))
                .withMessageContaining("'" + text + "'");
    }

    @Test
    void aFunctionInADomainOfLinuxsOwnHasNoRequesterIdOfItsOwn() {
        assertThat(PciAddress.parse("ffff:e1:00.0").hasOwnRequesterId()).isTrue();
        assertThat(PciAddress.parse("10000:e1:00.0").hasOwnRequesterId()).isFalse();
    }

    @Test
    void addressesSortBySegmentThenRequesterId() {
        assertThat(Stream.of("10001:00:00.0", "0000:ff:1f.7", "ffff:00:00.0", "0001:00:00.0", "0000:00:00.1")
                        .map(PciAddress::parse)
                        .sorted()
                        .map(PciAddress::toString))
                .containsExactly("0000:00:00.1", "0000:ff:1f.7", "0001:00:00.0", "ffff:00:00.0", "10001:00:00.0");
    }

    @Test
    void aRequesterIdIsBusDeviceFunction() {
        PciAddress address = new PciAddress(0, 2, 3, 4);
        assertThat(address.requesterId()).isEqualTo(0x021c);
        assertThat(PciAddress.of(0, 0x021c)).isEqualTo(address);
    }
}
