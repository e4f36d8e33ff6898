// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.page;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.iommu4j.LinuxRelease;
import org.iommu4j.host.InputException;
import org.iommu4j.sim.verdict.Blame;
import org.iommu4j.sim.verdict.Verdict;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PageReaderTest {
    private static final String GOOD = """
            case: my-case
            about: something
            actors:
              vcpu0: {vm: guest, cpu: 1}
              gpu:   {device: first, vm: guest, no-snoop: true}
            memory:
              buffer: {of: guest}
            steps:
              - vcpu0: store buffer = 0x1111
              - gpu:   read buffer
            expect:
              - {machines: [intel-nosc], until: v6.10, verdict: CORRUPTED, blame: HOST, wrong: gpu reads 0x0}
              - {verdict: COHERENT}
            """;

    private static Page read(String text) {
        return PageReader.read("my.yaml", text.getBytes(StandardCharsets.UTF_8));
    }

    private static void assertRefused(String text, String... words) {
        assertThatExceptionOfType(InputException.class)
                .isThrownBy(() -> read(text))
                .satisfies(e -> assertThat(e.getMessage())
                        .startsWith("my.yaml:")
                        .doesNotContain("\n", "\u001b")
                        .contains(words));
    }

    @Test
    void aPageIsRead() {
        Page page = read(GOOD);
        assertThat(page.name()).isEqualTo("my-case");
        assertThat(page.actors().keySet()).containsExactly("vcpu0", "gpu", "guest");
        assertThat(page.steps().get(0)).isEqualTo(new Step("vcpu0", Verb.STORE, List.of("buffer", "0x1111"), 9));
        Expectation first = page.expectations().get(0);
        assertThat(first.blame()).isEqualTo(Blame.HOST);
        assertThat(first.wrong()).isEqualTo(new Expectation.Wrong("gpu", 0));
    }

    /** A release's tag is its own release and not the next; a stable kernel is of its release. */
    @ParameterizedTest
    @CsvSource({"6.9, CORRUPTED", "6.10, CORRUPTED", "6.10.7, CORRUPTED", "6.11, COHERENT", "7.1, COHERENT"})
    void theFirstExpectationThatFitsHolds(String release, Verdict verdict) {
        Page page = read(GOOD);
        assertThat(page.expectation("intel-nosc", LinuxRelease.of(release)))
                .map(Expectation::verdict)
                .contains(verdict);
        assertThat(page.expectation("intel-sc", LinuxRelease.of(release)))
                .map(Expectation::verdict)
                .contains(Verdict.COHERENT);
    }

    @Test
    void aWrongPageIsRefusedByLineAndColumnWithTheAllowedWords() {
        assertRefused(GOOD.replace("about:", "abut:"), "my.yaml:2:1: unknown key 'abut'", "about");
        assertRefused(GOOD.replace("no-snoop: true", "no-snoop: yes"), ":5:47:", "true or false");
        assertRefused(GOOD.replace("store buffer", "stor buffer"), ":9:12:", "store MEMORY = VALUE");
        assertRefused(GOOD.replace("  - gpu:   read buffer", "  - gpu: wbinvd"), ":10:10:", "a device", "read MEMORY");
        assertRefused(GOOD.replace("read buffer", "read bufer"), ":10:12:", "known: buffer");
        assertRefused(GOOD.replace("- gpu:", "- gpx:"), ":10:5:", "known: vcpu0, gpu, guest");
        assertRefused(GOOD.replace("until: v6.10", "until: 6.10"), ":12:37:", "v6.10");
        assertRefused(GOOD.replace("until: v6.10", "until: v9.9"), ":12:37:", "9.9", "7.3");
        assertRefused(GOOD.replace("verdict: COHERENT", "verdict: FINE"), ":13:15:", "COHERENT, CORRUPTED");
        assertRefused(GOOD.replace("cpu: 1", "cpu: 64"), ":4:27:", "0 to 63");
        assertRefused(GOOD.replace("  buffer: {of: guest}", "  buffer: {of: gpu}"), ":7:11:", "has no memory");
    }

    @Test
    void whatYamlHasAndAPageHasNotIsRefused() {
        assertRefused(GOOD.replace("about: something", "about: &a something"), "2:8: an anchor");
        assertRefused(GOOD.replace("about: something", "about: *a"), "2:8: an alias");
        assertRefused(GOOD.replace("about: something", "about: !!str something"), "2:8: a tag");
        assertRefused(GOOD.replace("about: something", "case: again"), "2:1:", "comes twice");
        assertRefused(GOOD + "---\n" + GOOD, "a second document");
        assertRefused("", "is empty");
        assertRefused("case: [", "no YAML");
        assertRefused("[".repeat(100_000), "more than 16 levels");
        assertRefused("x".repeat(YamlNodes.MAX_BYTES + 1), "expected at most 1048576");
        assertRefused("case: \u0007", "1:7:", "not allowed");
        assertThatExceptionOfType(InputException.class)
                .isThrownBy(() -> PageReader.read("my.yaml", new byte[] {(byte) 0xff}))
                .withMessageContaining("UTF-8");
    }

    /** Text of a page reaches a terminal only escaped. */
    @Test
    void aRefusalIsPrintable() {
        assertRefused(GOOD.replace("my-case", "\"\\e[31mred\""), "\\u001b[31mred");
        assertRefused(GOOD.replace("something", "\"\\e[31mred\"").replace("read buffer", "x"), "10:12");
    }

    @Test
    void whoAwaitsWhatNobodyRangIsRefused() {
        assertRefused(GOOD.replace("gpu:   read buffer", "gpu: await vcpu0"), "10:10:", "never ends");
        read(GOOD.replace(
                "gpu:   read buffer", "vcpu0: ring gpu\n  - gpu: await vcpu0\n  - gpu: done\n  - vcpu0: await gpu"));
    }

    @Test
    void theVmmUsesMemoryOfVirtualMachinesAndTurnsQuirksOff() {
        String last = "gpu:   read buffer";
        String steps = "vmm: store buffer = 1\n  - vmm: turn quirk IGNORE_GUEST_PAT of guest off";
        Page page = read(GOOD.replace(last, steps));
        assertThat(page.steps().get(2).arguments()).containsExactly("IGNORE_GUEST_PAT", "guest");
        assertRefused(GOOD.replace(last, "vmm: turn quirk NONE of guest off"), "10:10", "turn quirk QUIRK of VM off");
        String ofDomain =
                GOOD.replace("  gpu:", "  shared: {domain: true}\n  gpu:").replace("of: guest", "of: shared");
        assertRefused(
                ofDomain.replace("vcpu0: store buffer = 0x1111", "vmm: store buffer = 1"),
                "10:10",
                "memory 'buffer' is of 'shared', and 'vmm' can't do that");
    }

    @Test
    void insideOfAWbinvdAGuestDoesNothing() {
        assertRefused(
                GOOD.replace("gpu:   read buffer", "vcpu0: begin wbinvd\n  - vcpu0: wbinvd"), "11:12", "end wbinvd");
        assertRefused(GOOD.replace("gpu:   read buffer", "vcpu0: end wbinvd"), "10:12", "begin wbinvd");
    }

    private static final String EXPLORED = """
            case: my-exploration
            about: something
            actors:
              vcpu0: {vm: guest, cpu: 1}
              gpu:   {device: first, no-snoop: true}
            memory:
              buffer: {of: guest}
            programs:
              vcpu0: [store buffer = 0x1111, wbinvd, ring gpu]
              gpu:   [await vcpu0, read buffer]
            may:
              scheduler: {move: vcpu0, at-most: 2}
              hardware:  {prefetch: [buffer], prefetch-by: any cpu}
              vmm:       [hot-add gpu to guest]
            never: [stale read, stuck]
            """;

    @Test
    void aPageMayHaveProgramsInPlaceOfSteps() {
        Programs programs = read(EXPLORED).programs();
        assertThat(programs).isNotNull();
        assertThat(programs.byActor().get("gpu"))
                .containsExactly(
                        new Step("gpu", Verb.AWAIT, List.of("vcpu0"), 10),
                        new Step("gpu", Verb.READ, List.of("buffer"), 10));
        assertThat(programs.scheduler()).isEqualTo(new Programs.Scheduler(List.of("vcpu0"), List.of(), 2));
        assertThat(programs.hardware())
                .isEqualTo(new Programs.Hardware(List.of(), List.of("buffer"), Programs.PrefetchBy.ANY_CPU));
        assertThat(programs.vmm()).extracting(Step::verb).containsExactly(Verb.HOT_ADD);
        assertThat(programs.never()).containsExactly(Programs.Property.STALE_READ, Programs.Property.STUCK);
    }

    @Test
    void aWrongExplorationIsRefusedWithTheAllowedWords() {
        assertRefused(EXPLORED.replace("stuck]", "stuk]"), ":15:21:", "'stuk'", "stale read", "stuck");
        assertRefused(EXPLORED.replace("any cpu", "any"), "running cpus, any cpu");
        assertRefused(EXPLORED.replace("move: vcpu0", "move: gpu"), "'gpu' is not a vCPU", "known: vcpu0");
        assertRefused(EXPLORED.replace("[buffer]", "[bufer]"), "no memory 'bufer'", "known: buffer");
        assertRefused(EXPLORED.replace("wbinvd, ring", "begin wbinvd, ring"), "can't be a step of a program");
        assertRefused(EXPLORED.replace("hot-add gpu to guest", "wbinvd"), "hot-add DEVICE to VM");
        assertRefused(EXPLORED.replace("never: [stale read, stuck]", ""), "lacks 'never'");
        assertRefused(GOOD + "may: {}\n", "'may' in a page without programs");
    }

    @Test
    void aPageThatCantBeReadIsRefusedWithTheReasonAndNamedOnce(@TempDir Path folder) throws IOException {
        Path loop = folder.resolve("loop.yaml");
        Files.createSymbolicLink(loop, loop);
        assertThatExceptionOfType(InputException.class)
                .isThrownBy(() -> PageReader.text(loop))
                .satisfies(e -> assertThat(e.getMessage())
                        .startsWith(loop + ": can't be read as a page (Too many levels of symbolic links"));
    }

    @Test
    void anotherVersionOfYamlIsRefusedByItsNumber() {
        assertRefused("%YAML 9.9\n---\n" + GOOD, "YAML 9.9, expected 1.2");
    }
}
