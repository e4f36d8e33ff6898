// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer.spark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.iommu4j.LinuxRelease;
import org.iommu4j.explorer.Bounds;
import org.iommu4j.explorer.Cover;
import org.iommu4j.explorer.Ended;
import org.iommu4j.explorer.ExplorationEngine;
import org.iommu4j.explorer.LocalEngine;
import org.iommu4j.explorer.Property;
import org.iommu4j.explorer.Report;
import org.iommu4j.explorer.Settings;
import org.iommu4j.explorer.TransitionSystem;
import org.iommu4j.explorer.World;
import org.iommu4j.workbench.PageWorlds;
import org.iommu4j.workbench.scenario.Kernel;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The engine in this process, on two threads, beside the local engine. */
class SparkEngineTest {
    @TempDir
    private Path directory;

    private Settings settings() {
        return Settings.DEFAULT.withWorkers(2).withSpillDirectory(directory);
    }

    private Report local(World world, Settings settings) {
        return new LocalEngine().explore(world, settings, Bounds.NONE, () -> false);
    }

    private Report spark(World world, Settings settings) {
        return new SparkEngine().explore(world, settings, Bounds.NONE, () -> false);
    }

    private Report kept(World world, Bounds bounds) {
        Map<String, String> properties =
                Map.of(SparkEngine.CHECKPOINT, directory.resolve("kept").toString());
        return new SparkEngine(properties).explore(world, settings(), bounds, () -> false);
    }

    private static void assertSame(Report spark, Report local) {
        assertThat(spark.cover().states()).isEqualTo(local.cover().states());
        assertThat(spark.cover().transitions()).isEqualTo(local.cover().transitions());
        assertThat(spark.cover().depth()).isEqualTo(local.cover().depth());
        assertThat(spark.cover().ended()).isEqualTo(local.cover().ended());
        assertThat(spark.violation().isPresent()).isEqualTo(local.violation().isPresent());
        local.violation().ifPresent(violation -> {
            assertThat(spark.violation().orElseThrow().property()).isEqualTo(violation.property());
            assertThat(spark.violation().orElseThrow().path()).hasSameSizeAs(violation.path());
        });
    }

    @Test
    void itIsFoundByItsName() {
        assertThat(ExplorationEngine.named("spark", getClass().getClassLoader()))
                .isInstanceOf(SparkEngine.class);
    }

    @ParameterizedTest
    @CsvSource({"2, 2, 2, 900, 22080", "3, 2, 2, 2916, 91692"})
    void itFindsWhatTheLocalEngineFinds(int cpus, int lines, int values, long states, long transitions)
            throws IOException {
        World world = Models.caches(cpus, lines, values);
        Report report = spark(world, settings());
        assertSame(report, local(world, settings()));
        assertThat(report.cover().states()).isEqualTo(states);
        assertThat(report.cover().transitions()).isEqualTo(transitions);
        assertThat(report.cover().expectedCollisions()).isZero();
        try (Stream<Path> left = Files.list(directory)) {
            assertThat(left)
                    .as("what is left on disk until Spark's own hook removes it")
                    .allMatch(path -> path.getFileName().toString().startsWith("spark-"));
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void overTheShippedDriversItFindsWhatTheLocalEngineFinds(boolean symmetry) throws IOException {
        byte[] text = Files.readAllBytes(Path.of("../examples/explorations/flushed-buffer.yaml"));
        Kernel kernel = Kernel.of(LinuxRelease.of("6.12"));
        Settings settings = settings().withSymmetry(symmetry);
        World violated = PageWorlds.world("flushed-buffer.yaml", text, "intel-nosc", kernel, Set.of());
        Report report = spark(violated, settings);
        assertSame(report, local(violated, settings));
        TransitionSystem system = violated.newFactory().open(violated.input());
        system.replay(report.violation().orElseThrow().actions());
        assertThat(system.properties()).as("where the shortest way leads").anyMatch(property -> !property.holds());
    }

    @Test
    void overTheShippedDriversItCoversAll() throws IOException {
        byte[] text = Files.readAllBytes(Path.of("../examples/explorations/flushed-buffer.yaml"));
        Kernel kernel =
                Kernel.of(LinuxRelease.of("6.12")).withFixes(Set.of("maskKeepsOwnCpu", "maskEmptiedWhilePinned"));
        World world = PageWorlds.world("flushed-buffer.yaml", text, "intel-nosc", kernel, Set.of());
        Report report = spark(world, settings());
        assertThat(report.cover().ended()).isEqualTo(Ended.COMPLETE);
        assertThat(report.cover().expectedCollisions()).isBetween(1e-40, 1e-25);
        assertSame(report, local(world, settings()));
    }

    @Test
    void aViolationIsTheNearestAndMostImportantAndCanBeReplayed() {
        World world = Models.counter(Models.WRONG);
        Report report = spark(world, settings());
        assertSame(report, local(world, settings()));
        assertThat(report.violation().orElseThrow().property()).isEqualTo("never 57");
        assertThat(report.violation().orElseThrow().path()).hasSize(9);
        assertThat(report.violation().orElseThrow().path().stream()
                        .mapToInt(step -> step.text().equals("add 7") ? 7 : 1)
                        .sum())
                .isEqualTo(57);
    }

    @Test
    void aStateWithoutActionsIsStuck() {
        World world = Models.counter(Models.STUCK);
        Report report = spark(world, settings());
        assertSame(report, local(world, settings()));
        assertThat(report.violation().orElseThrow().property()).isEqualTo(Property.STUCK);
    }

    @Test
    void statesThatShareSixtyFourBitsAreToldApart() {
        assertThat(local(Models.counter(Models.ALIKE), settings()).cover().states())
                .isEqualTo(1);
        assertSame(spark(Models.counter(Models.ALIKE), settings()), local(Models.counter(Models.SOUND), settings()));
    }

    @Test
    void aSystemThatIsNoFunctionOfItsActionsIsRefused() {
        assertThatThrownBy(() -> spark(Models.counter(Models.CHANCY), settings()))
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("the system is no function of its actions");
    }

    @Test
    void anotherRunGoesOnFromACheckpoint() throws IOException {
        World world = Models.caches(2, 2, 2);
        Report whole = local(world, settings());
        Cover part = kept(world, Bounds.NONE.withDepth(3)).cover();
        Cover expected = new LocalEngine()
                .explore(world, settings(), Bounds.NONE.withDepth(3), () -> false)
                .cover();
        assertThat(part.ended()).isEqualTo(Ended.DEPTH);
        assertThat(part.states()).isEqualTo(expected.states());
        assertThat(part.transitions()).isEqualTo(expected.transitions());
        // What a driver leaves that is killed in the middle of a round: some files, and no word of progress.
        Path round = Files.createDirectory(directory.resolve("kept/round-4"));
        Files.writeString(round.resolve("found-0"), "half a f");
        Report rest = kept(world, Bounds.NONE);
        assertSame(rest, whole);
        assertThat(rest.cover().nanos()).isGreaterThan(part.nanos());
        assertSame(kept(world, Bounds.NONE), whole);
    }

    @Test
    void aCheckpointOfAnotherExplorationIsRefused() throws IOException {
        kept(Models.caches(2, 1, 2), Bounds.NONE.withDepth(0));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> kept(Models.caches(2, 2, 2), Bounds.NONE))
                .withMessageStartingWith(directory.resolve("kept") + ": the checkpoint of another exploration: ");
        Path other = Files.createDirectory(directory.resolve("other"));
        Files.writeString(other.resolve("letter"), "dear");
        SparkEngine engine = new SparkEngine(Map.of(SparkEngine.CHECKPOINT, other.toString()));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> engine.explore(Models.caches(2, 2, 2), settings(), Bounds.NONE, () -> false))
                .withMessage(other + ": no checkpoint, expected one or an empty directory");
    }

    @Test
    void aStopInTheMiddleOfARoundLeavesTheRoundsBefore() {
        World world = Models.caches(3, 2, 2);
        AtomicInteger asked = new AtomicInteger();
        Map<String, String> properties =
                Map.of(SparkEngine.CHECKPOINT, directory.resolve("kept").toString());
        Cover cover = new SparkEngine(properties)
                .explore(world, settings(), Bounds.NONE, () -> asked.incrementAndGet() > 4)
                .cover();
        assertThat(cover.ended()).isEqualTo(Ended.INTERRUPTED);
        assertThat(cover.states()).isBetween(1L, 2915L);
        assertSame(kept(world, Bounds.NONE), local(world, settings()));
    }

    @Test
    void boundsAreKept() {
        World world = Models.caches(3, 2, 2);
        Cover states = kept(world, Bounds.NONE.withStates(100)).cover();
        assertThat(states.ended()).isEqualTo(Ended.STATES);
        assertThat(states.states()).isBetween(100L, 2915L);
        Cover time = kept(world, Bounds.NONE.withTime(Duration.ofNanos(1))).cover();
        assertThat(time.ended()).isEqualTo(Ended.TIME);
        assertThat(time.states()).isEqualTo(states.states());
    }
}
