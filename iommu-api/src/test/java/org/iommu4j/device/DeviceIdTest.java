// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.List;
import java.util.TreeSet;
import org.iommu4j.pci.PciAddress;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DeviceIdTest {
    @Test
    void functionsSortBeforeNamedDevicesAndSegmentsAreUnsigned() {
        List<DeviceId> sorted = List.of(
                PciAddress.parse("0000:02:00.0"),
                PciAddress.parse("7fff:00:00.0"),
                PciAddress.parse("ffff:00:00.0"),
                new NamedDevice("\\_SB.DMA1"),
                new NamedDevice("\\_SB.GPU0"));
        assertThat(new TreeSet<>(List.of(sorted.get(4), sorted.get(2), sorted.get(0), sorted.get(3), sorted.get(1))))
                .containsExactlyElementsOf(sorted);
    }

    @Test
    void aNamedDeviceIsCalledByItsName() {
        assertThat(new NamedDevice("\\_SB.GPU0")).hasToString("\\_SB.GPU0");
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "a b", "\u001b[31m", "caf\u00e9", "\u007f"})
    void aNameThatIsNotPrintableAsciiIsRefused(String name) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new NamedDevice(name))
                .withMessageEndingWith("characters: expected 1 to 255 characters of printable ASCII, no spaces");
    }

    @Test
    void aNameOfMoreThan255CharactersIsRefused() {
        assertThat(new NamedDevice("x".repeat(255)).name()).hasSize(255);
        assertThatIllegalArgumentException().isThrownBy(() -> new NamedDevice("x".repeat(256)));
    }
}
