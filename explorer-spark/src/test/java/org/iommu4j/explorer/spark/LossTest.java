// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer.spark;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import org.iommu4j.explorer.Bounds;
import org.iommu4j.explorer.Cover;
import org.iommu4j.explorer.LocalEngine;
import org.iommu4j.explorer.Settings;
import org.iommu4j.explorer.World;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A process that dies in the middle of a round changes nothing. */
@Timeout(value = 10, unit = TimeUnit.MINUTES)
class LossTest {
    private static final long MILLIS = 100;

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

    private static Cover expected() {
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

    @Test
    void aClusterWhoseExecutorIsKilledFindsWhatTheLocalEngineFinds() throws Exception {
        Path marker = directory.resolve("died");
        String secret = UUID.randomUUID().toString();
        Path properties = Files.writeString(
                directory.resolve("properties"),
                "spark.authenticate true\nspark.authenticate.secret " + secret
                        + "\nspark.master.rest.enabled false\nspark.ui.enabled false\n");
        Path home = directory.resolve("home");
        Files.createDirectories(home.resolve("jars"));
        Map<String, String> environment = Map.of("SPARK_HOME", home.toString(), "SPARK_SCALA_VERSION", "2.13");
        int port = freePort();
        String master = "spark://127.0.0.1:" + port;
        try (Jvm leader = new Jvm(
                directory.resolve("master.log"),
                environment,
                "org.apache.spark.deploy.master.Master",
                "--host",
                "127.0.0.1",
                "--port",
                Integer.toString(port),
                "--webui-port",
                "0",
                "--properties-file",
                properties.toString())) {
            awaitPort(port, leader);
            try (Jvm one = worker("one", environment, properties, master);
                    Jvm other = worker("other", environment, properties, master)) {
                World world = Models.mortal(2, 2, 2, marker);
                SparkEngine engine = new SparkEngine(Map.of(
                        "spark.master", master,
                        "spark.driver.host", "127.0.0.1",
                        "spark.driver.bindAddress", "127.0.0.1",
                        "spark.authenticate.secret", secret,
                        "spark.executor.memory", "480m",
                        "spark.executor.cores", "1"));
                Settings settings = Settings.DEFAULT.withSpillDirectory(directory);
                Cover cover = engine.explore(world, settings, Bounds.NONE, () -> false)
                        .cover();
                assertSame(cover, expected());
                assertThat(one.isAlive() && other.isAlive()).isTrue();
            }
        }
        assertThat(marker).as("an executor has died").exists();
    }

    private Jvm worker(String name, Map<String, String> environment, Path properties, String master)
            throws IOException {
        return new Jvm(
                directory.resolve(name + ".log"),
                environment,
                "org.apache.spark.deploy.worker.Worker",
                "--host",
                "127.0.0.1",
                "--port",
                "0",
                "--webui-port",
                "0",
                "--cores",
                "1",
                "--memory",
                "512m",
                "--work-dir",
                directory.resolve(name).toString(),
                "--properties-file",
                properties.toString(),
                master);
    }

    private static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        }
    }

    private static void awaitPort(int port, Jvm server) throws IOException, InterruptedException {
        while (true) {
            try (Socket socket = new Socket()) {
                socket.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), port));
                return;
            } catch (IOException e) {
                assertThat(server.hasEndedWithin(MILLIS))
                        .as(Files.readString(server.log()))
                        .isFalse();
            }
        }
    }
}
