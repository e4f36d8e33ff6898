// SPDX-License-Identifier: Apache-2.0
package org.iommu4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class LinuxReleaseTest {
    @Test
    void theNewestIsKnownByItsName() {
        assertThat(LinuxRelease.named("7.1")).isEqualTo(LinuxRelease.NEWEST).hasToString("7.1");
    }

    @ParameterizedTest
    @ValueSource(strings = {"5.4", "6.20", "6.1-posted", "7.10", "7", "7.1.2", "", "latest", "99999999999.1"})
    void aReleaseWithoutRulesIsRefusedAndTheKnownOnesListed(String name) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> LinuxRelease.named(name))
                .withMessageContaining("'" + name + "'")
                .withMessageContaining("5.18, 5.19-posted, 5.19, 6.0");
    }

    @Test
    void whatWasOnlyPostedIsOlderThanItsRelease() {
        assertThat(LinuxRelease.named("5.19-posted"))
                .isEqualTo(LinuxRelease.SERIES_AS_POSTED)
                .isGreaterThan(new LinuxRelease(5, 18))
                .isLessThan(new LinuxRelease(5, 19));
        assertThat(LinuxRelease.SERIES_AS_POSTED.isAtLeast(5, 19)).isFalse();
        assertThat(LinuxRelease.known()).isSorted().doesNotHaveDuplicates();
    }

    @ParameterizedTest
    @CsvSource({"6.1.0-56-amd64, 6.1", "6.12.95+deb13-amd64, 6.12", "7.0-rc3, 7.0", "5.4, 5.4", "4.19.0, 4.19"})
    void aKernelsOwnNameTellsItsRelease(String kernel, String release) {
        assertThat(LinuxRelease.ofKernel(kernel)).map(LinuxRelease::toString).hasValue(release);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "Linux", "6", "6.", "-6.1"})
    void whatIsNoKernelsNameTellsNothing(String kernel) {
        assertThat(LinuxRelease.ofKernel(kernel)).isEmpty();
    }

    @Test
    void releasesOrderByNumberNotByText() {
        assertThat(new LinuxRelease(6, 12))
                .isGreaterThan(new LinuxRelease(6, 2))
                .isLessThan(new LinuxRelease(7, 0));
    }
}
