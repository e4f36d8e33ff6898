// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer.spark;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.spark.TaskContext;
import org.iommu4j.explorer.MesiCaches;
import org.iommu4j.explorer.Property;
import org.iommu4j.explorer.TransitionSystem;
import org.iommu4j.explorer.World;
import org.iommu4j.explorer.WorldFactory;

/** Worlds that engines are compared on. */
public final class Models {
    private Models() {}

    /** Caches of the three sizes that its input names. */
    public static final class Caches implements WorldFactory {
        /** For an engine. */
        public Caches() {}

        @Override
        public TransitionSystem open(byte[] input) {
            return new MesiCaches(input[0], input[1], input[2]);
        }
    }

    static World caches(int cpus, int lines, int values) {
        return new World(Caches.class, new byte[] {(byte) cpus, (byte) lines, (byte) values});
    }

    /**
     * A counter from 0 to 199 that goes up by 1 or by 7, a mod 200. What it does beside depends on its input: it may be
     * wrong at 57 and 58, be stuck at 60, have one fingerprint of 64 bits for all states, or leave a bit out of its
     * words.
     */
    public static final class Counters implements WorldFactory {
        /** For an engine. */
        public Counters() {}

        @Override
        public TransitionSystem open(byte[] input) {
            return new Counter(input[0]);
        }
    }

    static final byte SOUND = 0;
    static final byte WRONG = 1;
    static final byte STUCK = 2;
    static final byte ALIKE = 3;
    static final byte CHANCY = 4;

    static World counter(byte kind) {
        return new World(Counters.class, new byte[] {kind});
    }

    private static final class Counter implements TransitionSystem {
        private static final AtomicLong CALLS = new AtomicLong();

        private final byte kind;
        private long value;

        Counter(byte kind) {
            this.kind = kind;
        }

        @Override
        public int words() {
            return 1;
        }

        @Override
        public int actions() {
            return 2;
        }

        @Override
        public List<Property> properties() {
            return List.of(
                    new Property("never 58", () -> kind != WRONG || value != 58),
                    new Property("never 57", () -> kind != WRONG || value != 57));
        }

        @Override
        public void reset() {
            value = 0;
        }

        @Override
        public int enabled(int[] into) {
            into[0] = 0;
            into[1] = 1;
            return kind == STUCK && value == 60 ? 0 : 2;
        }

        @Override
        public void apply(int action) {
            value = (value + (action == 0 ? 1 : 7) + (kind == CHANCY ? CALLS.incrementAndGet() % 3 : 0)) % 200;
        }

        @Override
        public long fingerprint() {
            return kind == ALIKE ? 1 : value;
        }

        @Override
        public void save(long[] into, int at) {
            into[at] = value;
        }

        @Override
        public void restore(long[] from, int at) {
            value = from[at];
        }

        @Override
        public String describe(int action) {
            return action == 0 ? "add 1" : "add 7";
        }
    }

    /** Caches in whose middle the first executor that comes by dies; the input is sizes and the name of a file. */
    public static final class Mortals implements WorldFactory {
        private static final int SIZES = 3;
        private static final int LIFE = 5_000;

        /** For an engine. */
        public Mortals() {}

        @Override
        public TransitionSystem open(byte[] input) {
            Path marker = Path.of(new String(input, SIZES, input.length - SIZES, StandardCharsets.UTF_8));
            MesiCaches caches = new MesiCaches(input[0], input[1], input[2]);
            return new Watched(caches, new AtomicLong(), marker);
        }

        private static void die(Path marker) {
            try {
                Files.createFile(marker);
            } catch (FileAlreadyExistsException e) {
                return; // another one has died
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
            Runtime.getRuntime().halt(1);
        }

        private record Watched(MesiCaches caches, AtomicLong applied, Path marker) implements TransitionSystem {
            @Override
            public int words() {
                return caches.words();
            }

            @Override
            public int actions() {
                return caches.actions();
            }

            @Override
            public List<Property> properties() {
                return caches.properties();
            }

            @Override
            public void reset() {
                caches.reset();
            }

            @Override
            public int enabled(int[] into) {
                return caches.enabled(into);
            }

            @Override
            public void apply(int action) {
                if (applied.incrementAndGet() == LIFE && TaskContext.get() != null) {
                    die(marker);
                }
                caches.apply(action);
            }

            @Override
            public long fingerprint() {
                return caches.fingerprint();
            }

            @Override
            public boolean isFingerprintExact() {
                return caches.isFingerprintExact();
            }

            @Override
            public void save(long[] into, int at) {
                caches.save(into, at);
            }

            @Override
            public void restore(long[] from, int at) {
                caches.restore(from, at);
            }
        }
    }

    static World mortal(int cpus, int lines, int values, Path marker) {
        byte[] name = marker.toString().getBytes(StandardCharsets.UTF_8);
        byte[] input = new byte[Mortals.SIZES + name.length];
        input[0] = (byte) cpus;
        input[1] = (byte) lines;
        input[2] = (byte) values;
        System.arraycopy(name, 0, input, Mortals.SIZES, name.length);
        return new World(Mortals.class, input);
    }
}
