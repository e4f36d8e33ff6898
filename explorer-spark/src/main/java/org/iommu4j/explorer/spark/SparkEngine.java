// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer.spark;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Objects;
import java.util.function.BooleanSupplier;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaSparkContext;
import org.iommu4j.explorer.Bounds;
import org.iommu4j.explorer.ExplorationEngine;
import org.iommu4j.explorer.Report;
import org.iommu4j.explorer.Settings;
import org.iommu4j.explorer.World;

/**
 * The engine on Apache Spark: in this process, or on a cluster whose machines see one directory by the same name.
 *
 * <p>Spark's own properties are system properties that begin with {@code spark.}; {@code spark.master} names the
 * cluster. Two more are this engine's: {@value #CHECKPOINT} and {@value #PARTITIONS}. Without a cluster there are as
 * many threads as the settings have workers, and all of Spark's ports are on the loopback interface. Messages are
 * authenticated unless {@code spark.authenticate} says otherwise, and there is no user interface unless {@code
 * spark.ui.enabled} does.
 *
 * <p>Bounds on states and depth, time and stops end it between rounds: a round that is stopped does not count. A bound
 * on memory has no effect, since only Spark's buffers and one chunk of rows are in memory.
 *
 * <p>A process explores on threads or on one cluster, not one after the other: Spark keeps the secret of its first
 * context, which no other cluster knows.
 */
public final class SparkEngine implements ExplorationEngine {
    /** The property that names a directory, from which an exploration goes on where an earlier run ended. */
    public static final String CHECKPOINT = "spark.iommu4j.checkpoint";

    /** The property that says into how many parts states are divided; twice the tasks that can run, if it is unset. */
    public static final String PARTITIONS = "spark.iommu4j.partitions";

    private final Map<String, String> properties;

    /** For {@link java.util.ServiceLoader}. */
    public SparkEngine() {
        this(Map.of());
    }

    /** Makes one with properties that take precedence over the system's. */
    SparkEngine(Map<String, String> properties) {
        this.properties = Map.copyOf(properties);
    }

    @Override
    public String name() {
        return "spark";
    }

    /**
     * {@inheritDoc}
     *
     * @throws IllegalArgumentException if the checkpoint is of another exploration
     * @throws IllegalStateException if the system breaks a promise, or Spark gives up
     * @throws UncheckedIOException if the checkpoint can't be read or written
     */
    @Override
    public Report explore(World world, Settings settings, Bounds bounds, BooleanSupplier stop) {
        Objects.requireNonNull(bounds);
        Objects.requireNonNull(stop);
        Worlds worlds = new Worlds(world);
        SparkConf conf = conf(settings);
        try {
            // What is wrong with the world is said before Spark starts.
            worlds.giveBack(worlds.take());
            boolean keep = conf.contains(CHECKPOINT);
            Path directory = keep
                    ? Path.of(conf.get(CHECKPOINT)).toAbsolutePath()
                    : Files.createTempDirectory(settings.spillDirectory(), "explorer-spark");
            try (JavaSparkContext spark = new JavaSparkContext(conf)) {
                int parts = conf.getInt(PARTITIONS, 2 * spark.defaultParallelism());
                Checkpoint checkpoint = Checkpoint.open(directory, world, settings.symmetry(), parts);
                try {
                    return new Search(spark, checkpoint, worlds, settings.symmetry()).explore(bounds, stop);
                } finally {
                    if (!keep) {
                        checkpoint.delete();
                    }
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } finally {
            worlds.forget();
        }
    }

    private SparkConf conf(Settings settings) {
        SparkConf conf = new SparkConf();
        properties.forEach(conf::set);
        conf.setIfMissing("spark.master", "local[" + settings.workers() + "]")
                .setIfMissing("spark.app.name", "iommu4j explore")
                .setIfMissing("spark.ui.enabled", "false")
                .setIfMissing("spark.authenticate", "true")
                .setIfMissing("spark.local.dir", settings.spillDirectory().toString())
                .set("spark.serializer", "org.apache.spark.serializer.KryoSerializer")
                .set("spark.kryo.classesToRegister", Row.class.getName());
        if (conf.get("spark.master").startsWith("local")) {
            conf.setIfMissing("spark.driver.bindAddress", "127.0.0.1").setIfMissing("spark.driver.host", "127.0.0.1");
        } else {
            // Executors run what this process runs, from the same files.
            conf.setIfMissing("spark.executor.extraClassPath", classPath());
        }
        return conf;
    }

    /** Returns this process's class path, for a process that begins elsewhere. */
    static String classPath() {
        return Stream.of(System.getProperty("java.class.path").split(File.pathSeparator))
                .map(entry -> Path.of(entry).toAbsolutePath().toString())
                .collect(Collectors.joining(File.pathSeparator));
    }
}
