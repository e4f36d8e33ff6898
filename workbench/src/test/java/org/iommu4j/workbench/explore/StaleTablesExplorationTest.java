// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.explore;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import org.iommu4j.explorer.Bounds;
import org.iommu4j.explorer.CheckedSystem;
import org.iommu4j.explorer.Exploration;
import org.iommu4j.explorer.Report;
import org.iommu4j.explorer.Settings;
import org.iommu4j.host.InputException;
import org.iommu4j.sim.verdict.Verdict;
import org.iommu4j.workbench.page.Programs.Property;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What the IOMMU's driver wrote stays in a cache, and a unit that does not look there walks over old tables. */
class StaleTablesExplorationTest {
    private static Explored staleTables(String release) {
        return Explored.example("stale-tables", "intel-mixed-walks", release);
    }

    @ParameterizedTest
    @ValueSource(strings = {"5.19", "6.12"})
    void aWalkOverOldTablesIsFoundAndTheRuleOf613ClosesIt(String release) {
        Explored page = staleTables(release);
        assertThat(page.assertFound("unexpected fault", 7).verdict()).isEqualTo(Verdict.REFUSED);
        page.fixed("walks=6.13").assertClean();
    }

    @ParameterizedTest
    @ValueSource(strings = {"6.13", "6.18", "6.19", "7.3"})
    void aDomainThatRefusesTheUnitIsClean(String release) {
        staleTables(release).assertClean();
    }

    /** The page with several texts replaced, each by the one that follows it. */
    private static Explored variant(String... texts) throws IOException {
        String page = Files.readString(Path.of("../examples/explorations/stale-tables.yaml"));
        for (int i = 0; i < texts.length; i += 2) {
            assertThat(page).contains(texts[i]);
            page = page.replace(texts[i], texts[i + 1]);
        }
        return Explored.text(page, "intel-mixed-walks", "6.12");
    }

    /** The domain knows the unit before it maps, and flushes what it writes; the other unit joins last. */
    @Test
    void tablesThatAreWrittenForTheUnitAreClean() throws IOException {
        Explored page = variant(
                "first, in: shared", "first",
                "[map buffer, attach gpu]", "[attach gpu, map buffer, attach nic]\n  nic:    [done]",
                "[store buffer", "[await nic, store buffer");
        page.assertClean();
        assertThat(page.report().cover().depth()).isGreaterThan(8);
    }

    /** Without the name of the driver's lines nothing of them stays in a cache. */
    @Test
    void aPageThatDoesNotNameTheTablesHasNoneInACache() throws IOException {
        variant("  tables: {of: driver}\n", "", "[buffer, tables]", "buffer").assertClean();
    }

    /** Caches that keep what the driver wrote show it as well; those that evict it in time do not. */
    @Test
    void theFaultComesOnlyWhileTheTablesAreInACache() throws IOException {
        variant("[buffer, tables]", "buffer").assertFound("unexpected fault", 7);
        PageSystem system = (PageSystem) staleTables("6.12").explorer().open();
        system.reset();
        for (String step : List.of(
                "shared: map buffer",
                "hardware: evict tables",
                "shared: attach gpu",
                "user: store buffer = 0x1111",
                "user: clflush buffer",
                "user: ring gpu",
                "gpu: await user",
                "gpu: read buffer")) {
            apply(system, step);
        }
        assertThat(system.live().refused).isFalse();
        assertThat(system.live().stale).isFalse();
    }

    private static void apply(PageSystem system, String step) {
        int[] enabled = new int[system.actions()];
        int count = system.enabled(enabled);
        int action = IntStream.of(enabled)
                .limit(count)
                .filter(each -> system.describe(each).equals(step))
                .findFirst()
                .orElseThrow();
        system.apply(action);
    }

    @Test
    void aStateIsAllThatItsWorldDependsOn() {
        Explored page = staleTables("6.12");
        try (Exploration exploration =
                new Exploration(() -> new CheckedSystem(page.explorer().open()), Settings.DEFAULT)) {
            assertThat(exploration.run(Bounds.NONE).violation().orElseThrow().path())
                    .hasSize(7);
        }
        try (Exploration exploration = new Exploration(
                () -> new CheckedSystem(
                        page.never(Property.STALE_READ).explorer().open()),
                Settings.DEFAULT)) {
            assertThat(exploration.run(Bounds.NONE).violation()).isEmpty();
        }
    }

    @Test
    void workersAndSymmetryChangeNoAnswer() {
        Explored page = staleTables("6.12");
        Report one = page.explorer().explore(Settings.DEFAULT, Bounds.NONE, () -> false);
        for (Settings settings : List.of(Settings.DEFAULT.withWorkers(2), Settings.DEFAULT.withSymmetry(false))) {
            Report other = page.explorer().explore(settings, Bounds.NONE, () -> false);
            assertThat(other.violation().orElseThrow().path())
                    .hasSameSizeAs(one.violation().orElseThrow().path());
        }
    }

    @Test
    void whatWouldWriteSomeOfTheTablesBackIsRefused() {
        Explored page = staleTables("6.12");
        assertThatThrownBy(() -> page.withText("clflush buffer", "wbinvd").explorer())
                .isInstanceOf(InputException.class)
                .hasMessageContaining("'wbinvd' writes back lines of 'tables' one by one");
        assertThatThrownBy(() -> page.withText("store buffer", "store tables"))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("memory 'tables' is of 'driver', and 'user' can't do that");
        assertThatThrownBy(() -> page.withText("evict: [buffer, tables]", "prefetch: tables"))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("'tables' is no page");
    }
}
