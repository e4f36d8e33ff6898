// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.spi;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class KernelRemarkTest {
    private static final Reason MEANING = new Reason("firmware is wrong", "a manual");

    private static KernelRemark quoting(String words) {
        return KernelRemark.quoting(KernelRemark.Kind.FIRMWARE_BUG, words, MEANING);
    }

    @Test
    void aQuotationIsAboutTheHostAndHasNoSpaceAroundIt() {
        assertThat(quoting(" Your BIOS is broken\t"))
                .isEqualTo(KernelRemark.of(KernelRemark.Kind.FIRMWARE_BUG, "Your BIOS is broken", MEANING));
    }

    @Test
    void aLongQuotationIsCut() {
        assertThat(quoting("  " + "x".repeat(200)).text()).hasSize(200);
        assertThat(quoting("x".repeat(150) + "y".repeat(51)).text()).isEqualTo("x".repeat(150) + "y".repeat(50));
    }
}
