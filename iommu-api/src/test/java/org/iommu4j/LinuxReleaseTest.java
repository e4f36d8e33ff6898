// SPDX-License-Identifier: Apache-2.0
package org.iommu4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LinuxReleaseTest {
    @Test
    void theNewestIsKnownByItsName() {
        assertThat(LinuxRelease.named("7.1")).isEqualTo(LinuxRelease.NEWEST).hasToString("7.1");
    }

    @ParameterizedTest
    @ValueSource(strings = {"6.1", "7.10", "7", "7.1.2", "", "latest", "99999999999.1"})
    void aReleaseWithoutRulesIsRefusedAndTheKnownOnesListed(String name) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> LinuxRelease.named(name))
                .withMessageContaining("'" + name + "'")
                .withMessageContaining("[7.1]");
    }

    @Test
    void releasesOrderByNumberNotByText() {
        assertThat(new LinuxRelease(6, 12))
                .isGreaterThan(new LinuxRelease(6, 2))
                .isLessThan(new LinuxRelease(7, 0));
    }
}
