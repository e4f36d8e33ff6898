// SPDX-License-Identifier: Apache-2.0
package org.iommu4j;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class ProtTest {
    @Test
    void bitsAreShownByNameAndUnknownOnesAsANumber() {
        assertThat(Prot.toString(Prot.READ | Prot.CACHE)).isEqualTo("READ|CACHE");
        assertThat(Prot.toString(0)).isEqualTo("none");
        assertThat(Prot.toString(Prot.WRITE | 1 << 6)).isEqualTo("WRITE|0x40");
    }
}
