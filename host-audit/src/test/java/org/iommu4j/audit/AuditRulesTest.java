// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.iommu4j.LinuxRelease;
import org.iommu4j.platform.HardwareVirtualization;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What a guest pays and who decides, release by release; and by which release an audit answers. */
class AuditRulesTest {
    private static AuditRules rules(String release, HardwareVirtualization virtualization) {
        return AuditRules.of(LinuxRelease.named(release), virtualization);
    }

    /** Guests' MTRRs went with 6.11; KVM ignores a guest's PAT under VMX alone. */
    @ParameterizedTest
    @CsvSource({
        "5.15, VMX, NONCOHERENT, 'the guest''s WBINVD flushes the host''s caches; "
                + "guest PAT and MTRRs are honoured (slow)'",
        "6.10, VMX, NONCOHERENT, 'the guest''s WBINVD flushes the host''s caches; "
                + "guest PAT and MTRRs are honoured (slow)'",
        "6.11, VMX, NONCOHERENT, 'the guest''s WBINVD flushes the host''s caches; guest PAT is honoured (slow)'",
        "7.1, VMX, NONCOHERENT, 'the guest''s WBINVD flushes the host''s caches; guest PAT is honoured (slow)'",
        "6.10, SVM, NONCOHERENT, 'the guest''s WBINVD flushes the host''s caches; guest PAT is honoured (slow)'",
        "6.10, VMX, COHERENT, the guest's WBINVD does nothing; guest memory is write-back regardless of guest PAT",
        "7.1, VMX, COHERENT, the guest's WBINVD does nothing; guest memory is write-back regardless of guest PAT",
        "6.10, SVM, COHERENT, 'the guest''s WBINVD does nothing; guest PAT is honoured, as in every guest on such"
                + " processors'",
        "6.12, NONE, NONCOHERENT, 'KVM does nothing about caches on such processors, whose guests maintain them by "
                + "themselves'",
        "7.1, VMX, UNKNOWN, depends on unknown facts"
    })
    void aGuestPaysWhatItsReleaseAndProcessorsAsk(
            String release, HardwareVirtualization virtualization, Guest guest, String cost) {
        assertThat(rules(release, virtualization).cost(guest)).isEqualTo(cost);
    }

    @Test
    void whereNobodyKnowsTheProcessorsNothingIsSaidOfMemory() {
        AuditRules rules = AuditRules.of(LinuxRelease.named("6.1"), null);
        assertThat(rules.cost(Guest.NONCOHERENT)).isEqualTo("the guest's WBINVD flushes the host's caches");
        assertThat(rules.cost(Guest.COHERENT)).isEqualTo("the guest's WBINVD does nothing");
    }

    @ParameterizedTest
    @CsvSource({
        "5.18, false, false, false",
        "5.19-posted, false, false, false",
        "5.19, false, true, false",
        "6.1, false, true, false",
        "6.2, true, true, false",
        "6.5, true, true, false",
        "6.6, true, true, true",
        "7.1, true, true, true"
    })
    void whoIsAskedIsTheReleases(String release, boolean devices, boolean bridges, boolean direct) {
        AuditRules rules = rules(release, HardwareVirtualization.VMX);
        assertThat(rules.asksDevices()).isEqualTo(devices);
        assertThat(rules.asksBridges()).isEqualTo(bridges);
        assertThat(rules.keepsDirectDevices()).isEqualTo(direct);
        assertThat(rules.kvmSource()).contains(devices ? "(6.2): every device" : "(until 6.1): the container");
    }

    // --- which release answers ---

    @ParameterizedTest
    @CsvSource({
        "6.1.0-56-amd64, 6.1, false",
        "5.15.0-91-generic, 5.15, false",
        "5.19.17, 5.19.17, false",
        "7.1.5, 7.1.5, false",
        "6.12.95+deb13-amd64, 6.12.95, false",
        "4.19.0-26-amd64, 5.15, true",
        "3.10.0, 5.15, true",
        "7.3.4, 7.3.4, false",
        "9.0, 7.3, true",
        "9.9.0-1.el12.x86_64, 7.3, true"
    })
    void aHostIsAnsweredByItsOwnReleaseElseByTheNearestKnownAndThatIsSaid(
            String kernel, String release, boolean warned) {
        List<String> warnings = new ArrayList<>();
        Optional<LinuxRelease> host = LinuxRelease.ofKernel(kernel);
        assertThat(ReleaseChoice.of(host, warnings)).hasToString(release);
        if (warned) {
            assertThat(warnings)
                    .containsExactly("no rules are built for this host's Linux " + host.orElseThrow()
                            + ": the rules of the nearest apply, " + release);
        } else {
            assertThat(warnings).isEmpty();
        }
    }

    /** The series as it was posted is nobody's kernel. */
    @Test
    void noHostIsAnsweredByWhatWasOnlyPosted() {
        assertThat(ReleaseChoice.nearest(
                        new LinuxRelease(5, 19),
                        List.of(new LinuxRelease(5, 18), LinuxRelease.SERIES_AS_POSTED, new LinuxRelease(6, 0))))
                .hasToString("5.18");
    }

    @Test
    void aHostWhoseReleaseNoInputTellsIsAnsweredByTheNewestAndThatIsSaid() {
        List<String> warnings = new ArrayList<>();
        assertThat(ReleaseChoice.of(Optional.empty(), warnings)).isEqualTo(LinuxRelease.NEWEST);
        assertThat(warnings)
                .containsExactly(
                        "the host's kernel release is unknown: the rules of the newest apply, " + LinuxRelease.NEWEST);
    }

    @Test
    void aReleaseWithoutRulesIsRefused() {
        assertThatExceptionOfType(IllegalArgumentException.class)
                .isThrownBy(() -> AuditRules.of(new LinuxRelease(5, 4), null));
    }
}
