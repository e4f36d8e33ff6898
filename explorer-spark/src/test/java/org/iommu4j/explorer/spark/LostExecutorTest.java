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
import org.iommu4j.explorer.Settings;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** An executor of a cluster that dies in the middle of a round changes nothing: what it did is done again. */
@Timeout(value = 10, unit = TimeUnit.MINUTES)
class LostExecutorTest {
    private static final long MILLIS = 100;
    private static final String SECRET = "CLUSTER_SECRET";

    /** The cluster's driver, in a process of its own: Spark keeps the secret of a process' first exploration. */
    static final class Driver {
        private Driver() {}

        /** Explores: on which master, the file that says that an executor died, and the file of the answer. */
        public static void main(String[] arguments) throws IOException {
            Path answer = Path.of(arguments[2]);
            SparkEngine engine = new SparkEngine(Map.of(
                    "spark.master", arguments[0],
                    "spark.driver.host", "127.0.0.1",
                    "spark.driver.bindAddress", "127.0.0.1",
                    "spark.authenticate.secret", System.getenv(SECRET),
                    "spark.executor.memory", "480m",
                    "spark.executor.cores", "1"));
            Files.writeString(
                    answer,
                    text(engine.explore(
                                    Models.mortal(2, 2, 2, Path.of(arguments[1])),
                                    Settings.DEFAULT.withSpillDirectory(answer.getParent()),
                                    Bounds.NONE,
                                    () -> false)
                            .cover()));
        }

        static String text(Cover cover) {
            return cover.states() + " states, " + cover.transitions() + " transitions, depth " + cover.depth() + ", "
                    + cover.ended();
        }
    }

    @TempDir
    private Path directory;

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
                Path answer = directory.resolve("answer");
                try (Jvm driver = new Jvm(
                        directory.resolve("driver.log"),
                        Map.of(SECRET, secret),
                        Driver.class.getName(),
                        master,
                        marker.toString(),
                        answer.toString())) {
                    assertThat(driver.hasEndedWithin(TimeUnit.MINUTES.toMillis(9)))
                            .isTrue();
                    assertThat(driver.exitCode())
                            .as(Files.readString(driver.log()))
                            .isZero();
                }
                assertThat(answer).hasContent(Driver.text(LostDriverTest.expected()));
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
