// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer.spark;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.iommu4j.explorer.Bounds;
import org.iommu4j.explorer.Cover;
import org.iommu4j.explorer.LocalEngine;
import org.iommu4j.explorer.Settings;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A driver that dies in the middle of a round changes nothing: another one goes on. */
@Timeout(value = 10, unit = TimeUnit.MINUTES)
class LostDriverTest {
    @TempDir
    private Path directory;

    /** An exploration in a process of its own: the directory of its checkpoint, and the file that says who died. */
    static final class Driver {
        private Driver() {}

        public static void main(String[] arguments) {
            explore(Path.of(arguments[0]), Path.of(arguments[1]));
        }

        static Cover explore(Path checkpoint, Path marker) {
            return new SparkEngine(Map.of(SparkEngine.CHECKPOINT, checkpoint.toString()))
                    .explore(
                            Models.mortal(2, 2, 2, marker),
                            Settings.DEFAULT.withWorkers(2).withSpillDirectory(checkpoint.getParent()),
                            Bounds.NONE,
                            () -> false)
                    .cover();
        }
    }

    static Cover expected() {
        return new LocalEngine()
                .explore(Models.caches(2, 2, 2), Settings.DEFAULT, Bounds.NONE, () -> false)
                .cover();
    }

    private static void assertSame(Cover spark, Cover local) {
        assertThat(spark.states()).isEqualTo(local.states());
        assertThat(spark.transitions()).isEqualTo(local.transitions());
        assertThat(spark.depth()).isEqualTo(local.depth());
        assertThat(spark.ended()).isEqualTo(local.ended());
    }

    @Test
    void anotherDriverGoesOnWhereTheFirstWasKilled() throws Exception {
        Path checkpoint = directory.resolve("kept");
        Path marker = directory.resolve("died");
        try (Jvm driver = new Jvm(
                directory.resolve("log"), Map.of(), Driver.class.getName(), checkpoint.toString(), marker.toString())) {
            assertThat(driver.hasEndedWithin(TimeUnit.SECONDS.toMillis(120))).isTrue();
            assertThat(marker).as(Files.readString(driver.log())).exists();
            assertThat(driver.exitCode()).isEqualTo(1);
        }
        assertThat(Files.exists(checkpoint.resolve("round-0")))
                .as("it is past the initial state")
                .isFalse();
        assertSame(Driver.explore(checkpoint, marker), expected());
    }
}
