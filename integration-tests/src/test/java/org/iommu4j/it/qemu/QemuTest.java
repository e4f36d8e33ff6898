// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.qemu;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class QemuTest {
    @ParameterizedTest
    @CsvSource(
            delimiter = ' ',
            value = {"7 2 amd-iommu", "9 2 amd-iommu", "10 0 amd-iommu,pt=off", "11 1 amd-iommu,dma-remap=on"})
    void anAmdViUnitIsToldToTranslateWhereItHasToBe(int major, int minor, String unit) {
        assertThat(new Qemu("qemu", major, minor).amdViUnit()).isEqualTo(unit);
    }
}
