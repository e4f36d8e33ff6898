// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class WordFilterTest {
    private static final List<String> WORDS =
            List.of("DMAR", "AMD-Vi", "iommu", "abab", "ababa", "] type ", "bus \u00fcber");

    /** A word may be in several groups, and a group may have several. */
    private static final List<List<String>> GROUPS =
            List.of(List.of("DMAR"), List.of("AMD-Vi", "iommu"), List.of("iommu"), List.of("abab", "ababa"), WORDS);

    private static long expected(String line) {
        long found = 0;
        for (int i = 0; i < GROUPS.size(); i++) {
            found |= GROUPS.get(i).stream().anyMatch(line::contains) ? 1L << i : 0;
        }
        return found;
    }

    @Test
    void wordsAreFoundWhereverTheyStand() {
        long seed = new Random().nextLong();
        Random random = new Random(seed);
        WordFilter filter = new WordFilter(GROUPS);
        for (int i = 0; i < 20_000; i++) {
            StringBuilder text = new StringBuilder();
            while (text.length() < random.nextInt(40)) {
                String word = WORDS.get(random.nextInt(WORDS.size()));
                switch (random.nextInt(3)) {
                    case 0 -> text.append(word);
                    case 1 -> text.append(word, 0, random.nextInt(word.length()));
                    default -> text.append((char) (' ' + random.nextInt(96)));
                }
            }
            String line = text.toString();
            byte[] bytes = ("iommu" + line + "DMAR").getBytes(StandardCharsets.UTF_8);
            assertThat(filter.in(bytes, 5, bytes.length - 4))
                    .as("seed %d: %s", seed, line)
                    .isEqualTo(expected(line));
        }
    }

    @Test
    void tooShortWordsAndTooManyGroupsAreRefused() {
        assertThatIllegalArgumentException().isThrownBy(() -> new WordFilter(List.of(List.of("abc"))));
        assertThatIllegalArgumentException().isThrownBy(() -> new WordFilter(Collections.nCopies(65, List.of("word"))));
    }

    @Test
    void anyNumberOfWordsIsFound() {
        List<String> many =
                IntStream.range(0, 500).mapToObj(i -> "word" + i + ";").toList();
        WordFilter filter = new WordFilter(List.of(many.subList(0, 250), many.subList(250, 500)));
        for (int i = 0; i < 500; i++) {
            byte[] line = ("a line with " + many.get(i)).getBytes(StandardCharsets.UTF_8);
            assertThat(filter.in(line, 0, line.length)).isEqualTo(i < 250 ? 1 : 2);
        }
    }
}
