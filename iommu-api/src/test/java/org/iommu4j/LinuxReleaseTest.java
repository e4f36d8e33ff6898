// SPDX-License-Identifier: Apache-2.0
package org.iommu4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class LinuxReleaseTest {
    @Test
    void theNewestIsKnownByItsName() {
        assertThat(LinuxRelease.named("7.3")).isEqualTo(LinuxRelease.NEWEST).hasToString("7.3");
    }

    @ParameterizedTest
    @ValueSource(strings = {"5.4", "6.20", "6.1-posted", "7.10", "7", "7.1.2", "", "latest", "99999999999.1"})
    void aReleaseWithoutRulesIsRefusedAndTheKnownOnesListed(String name) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> LinuxRelease.named(name))
                .withMessageContaining("'" + name + "'")
                .withMessageContaining("5.18, 5.19-posted, 5.19, 6.0");
    }

    @ParameterizedTest
    @ValueSource(strings = {"7.1", "5.19-posted", "6.12.95+deb13-amd64", "6.8.12-4-pve"})
    void aKernelOfAReleaseWithRulesIsBuilt(String kernel) {
        assertThat(LinuxRelease.built(kernel))
                .isEqualTo(LinuxRelease.of(kernel))
                .hasToString(kernel);
        assertThat(LinuxRelease.ofHost(kernel)).isEqualTo(LinuxRelease.of(kernel));
    }

    @Test
    void anEnterpriseKernelIsAHostsAndNoneWithRulesOfItsOwn() {
        assertThat(LinuxRelease.ofHost("6.12.0-211.el10")).isEqualTo(LinuxRelease.of("6.12.0-211.el10"));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> LinuxRelease.built("6.12.0-211.el10"))
                .withMessageContaining("6.12.0-211.el10 is an enterprise kernel")
                .withMessageEndingWith("[6.12, 6.13, 6.14, 6.15, 6.16, 6.17, 6.18, 6.19, 7.0, 7.1, 7.2, 7.3]");
    }

    @ParameterizedTest
    @ValueSource(strings = {"7.9.13", "5.4.0-216-generic", "9.9", "9.9.0-1.el12"})
    void aKernelOfAReleaseWithoutRulesIsRefusedByName(String kernel) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> LinuxRelease.ofHost(kernel))
                .withMessageContaining("'" + kernel + "'")
                .withMessageContaining("5.18, 5.19-posted, 5.19, 6.0");
    }

    @Test
    void noOtherSeriesWasPosted() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> LinuxRelease.of("6.1-posted"))
                .withMessageContaining("'6.1-posted' is no Linux release");
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
    @CsvSource(nullValues = "-", textBlock = """
            6.1.0-56-amd64,      6.1,  0,  -56-amd64,     6.1,     true
            6.12.95+deb13-amd64, 6.12, 95, +deb13-amd64,  6.12.95, true
            6.8.12-4-pve,        6.8,  12, -4-pve,        6.8.12,  true
            6.9.7-1.el9.elrepo.x86_64, 6.9, 7, -1.el9.elrepo.x86_64, 6.9.7, true
            6.9.1-1-default,     6.9,  1,  -1-default,    6.9.1,   true
            7.0-rc3,             7.0,  0,  -rc3,          7.0,     true
            5.4,                 5.4,  0,  '',            5.4,     false
            4.19.0,              4.19, 0,  '',            4.19,    false
            6.12.1234567,        6.12, 0,  .1234567,      6.12,    true
            """)
    void aKernelsOwnNameTellsItsReleaseItsPatchLevelAndWhoMadeIt(
            String kernel, String base, int patch, String suffix, String stable, boolean known) {
        LinuxRelease release = LinuxRelease.ofKernel(kernel).orElseThrow();
        assertThat(release.base()).hasToString(base);
        assertThat(release.patch()).isEqualTo(patch);
        assertThat(release.suffix()).isEqualTo(suffix);
        assertThat(release.stable()).hasToString(stable);
        assertThat(release.isKnown()).isEqualTo(known);
        assertThat(release.isEnterprise()).isFalse();
        assertThat(release.mayHold()).isEqualTo(known ? List.of(release) : List.of());
        assertThat(LinuxRelease.of(kernel)).isEqualTo(release);
    }

    @ParameterizedTest
    @CsvSource({
        "5.14.0-503.el9.x86_64, 5.15",
        "6.12.0-211.el10, 6.12",
        "5.15.0-200.131.27.el8uek.x86_64, 5.15",
        "6.4.0-150600.23.7-default, 6.4",
        "6.4.0-150600-default, 6.4",
        "5.3.18-lp152.19-default, 5.15",
        "5.3.18-59.5-default, 5.15",
        "4.12.14-122.124-default, 5.15",
        "5.10.0-60.18.0.50.oe2203.x86_64, 5.15",
        "5.10.134-16.al8.x86_64, 5.15",
        "5.15.123-android14-11-g0123456789ab, 5.15"
    })
    void anEnterpriseKernelMayHaveTheRulesOfAnyReleaseSinceItsNumber(String kernel, String oldest) {
        LinuxRelease release = LinuxRelease.of(kernel);
        assertThat(release.isEnterprise()).isTrue();
        assertThat(release.toString()).isEqualTo(kernel);
        assertThat(release.mayHold().get(0)).hasToString(oldest);
        assertThat(release.mayHold()).endsWith(LinuxRelease.NEWEST).doesNotContain(LinuxRelease.SERIES_AS_POSTED);
    }

    @Test
    void aStableKernelComesAfterItsReleaseAndBeforeTheNext() {
        assertThat(LinuxRelease.of("6.12.95"))
                .isGreaterThan(new LinuxRelease(6, 12))
                .isGreaterThan(LinuxRelease.of("6.12.9"))
                .isLessThan(new LinuxRelease(6, 13))
                .isLessThan(LinuxRelease.of("6.12.95+deb13"));
        assertThat(LinuxRelease.of("6.12.95").isAtLeast(6, 12)).isTrue();
        assertThat(LinuxRelease.of("6.12.95").isAtLeast(6, 13)).isFalse();
        assertThat(LinuxRelease.of("5.19-posted")).isEqualTo(LinuxRelease.SERIES_AS_POSTED);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> LinuxRelease.of("latest"))
                .withMessageContaining("'latest' is no Linux release");
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
