// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer.spark;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** Another process with this one's class path, on the loopback interface alone. */
final class Jvm implements AutoCloseable {
    private final Process process;
    private final Path log;

    Jvm(Path log, Map<String, String> environment, String main, String... arguments) throws IOException {
        this.log = log;
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "@" + Path.of("src/main/engine/java-options").toAbsolutePath(),
                "-Xmx512m",
                "-XX:TieredStopAtLevel=1",
                "-Dlogback.configurationFile="
                        + Path.of("../config/logback-test.xml").toAbsolutePath(),
                "-Diommu4j.log=" + System.getProperty("iommu4j.log", "OFF"),
                "-cp",
                SparkEngine.classPath(),
                main));
        command.addAll(List.of(arguments));
        ProcessBuilder builder =
                new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile());
        builder.environment().putAll(environment);
        builder.environment().put("SPARK_LOCAL_IP", "127.0.0.1");
        process = builder.start();
    }

    boolean isAlive() {
        return process.isAlive();
    }

    /** Waits; returns whether the process has ended by then. */
    boolean hasEndedWithin(long millis) throws InterruptedException {
        return process.waitFor(millis, TimeUnit.MILLISECONDS);
    }

    int exitCode() {
        return process.exitValue();
    }

    Path log() {
        return log;
    }

    @Override
    public void close() {
        process.descendants().forEach(ProcessHandle::destroyForcibly);
        process.destroyForcibly();
        process.onExit().join();
    }
}
