// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class FrontierTest {
    @TempDir
    private Path directory;

    private static void write(Frontier frontier, int words, long first, long count) {
        for (long state = first; state < first + count; state++) {
            for (int word = 0; word < words; word++) {
                frontier.writeBlock()[frontier.writeAt() + word] = state * words + word;
            }
            frontier.added();
        }
    }

    private static void read(Frontier frontier, int words, long first, long count) {
        for (long state = first; state < first + count; state++) {
            assertThat(frontier.advance()).as("state %d", state).isTrue();
            for (int word = 0; word < words; word++) {
                assertThat(frontier.readBlock()[frontier.readAt() + word])
                        .as("state %d word %d", state, word)
                        .isEqualTo(state * words + word);
            }
        }
    }

    @ParameterizedTest
    @CsvSource({
        "1, 100, 0",
        "1, 8192, 0",
        "1, 8193, 0",
        "3, 100000, 0",
        "16, 50000, 0",
        "1, 100000, 300000",
        "7, 100000, 1000000",
        "16, 5000, 10000000"
    })
    void statesComeBackInTheirOrderFromMemoryAndFromDisk(int words, int states, long limit) {
        try (Frontier frontier = new Frontier(words, new Blocks(limit), directory)) {
            assertThat(frontier.isEmpty()).isTrue();
            write(frontier, words, 0, states);
            assertThat(frontier.isEmpty()).isFalse();
            read(frontier, words, 0, states);
            assertThat(frontier.advance()).isFalse();
            assertThat(frontier.advance()).isFalse();
            frontier.clear();
            assertThat(frontier.isEmpty()).isTrue();
            assertThat(frontier.advance()).isFalse();
            write(frontier, words, 7, states);
            read(frontier, words, 7, states);
            assertThat(frontier.advance()).isFalse();
        }
    }

    @Test
    void whatExceedsTheLimitIsOnDiskAndGoneInTheEnd() throws IOException {
        Blocks blocks = new Blocks(4L * Blocks.WORDS * Long.BYTES);
        try (Frontier frontier = new Frontier(2, blocks, directory)) {
            write(frontier, 2, 0, 100_000);
            assertThat(frontier.spilled()).isBetween(1_000_000L, 1_600_000L);
            assertThat(blocks.bytes()).isLessThanOrEqualTo(6L * Blocks.WORDS * Long.BYTES);
            read(frontier, 2, 0, 100_000);
            assertThat(blocks.bytes()).isLessThanOrEqualTo(6L * Blocks.WORDS * Long.BYTES);
        }
        try (Stream<Path> left = Files.list(directory)) {
            assertThat(left).isEmpty();
        }
    }

    @Test
    void aDirectoryThatIsNotThereIsNamed() {
        Path nowhere = directory.resolve("nowhere");
        try (Frontier frontier = new Frontier(1, new Blocks(0), nowhere)) {
            assertThatThrownBy(() -> write(frontier, 1, 0, 100_000))
                    .isInstanceOf(UncheckedIOException.class)
                    .hasMessageContaining(nowhere.toString());
        }
    }
}
