// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

class FileTreeTest {
    private static final int MAX_LINKS = 40;

    private final FileTree tree = new FileTree(MAX_LINKS);

    private static List<String> path(String text) {
        return List.of(text.split("/"));
    }

    private void chain(String prefix, int links) {
        tree.file(path(prefix + 0), new byte[] {1});
        for (int i = 1; i <= links; i++) {
            tree.link(path(prefix + i), prefix + (i - 1));
        }
    }

    @Test
    void aPathHasAtMostSoManyLinksWhateverWasAskedBefore() {
        chain("up", 50);
        chain("down", 50);
        for (int i = 0; i <= 50; i++) {
            assertThat(tree.resolve("up" + i).isPresent()).as("up%d", i).isEqualTo(i <= MAX_LINKS);
        }
        for (int i = 50; i >= 0; i--) {
            assertThat(tree.resolve("down" + i).isPresent()).as("down%d", i).isEqualTo(i <= MAX_LINKS);
        }
    }

    /** Linux counts the links of the whole path, not those of each. */
    @Test
    void linksOfAPathAddUp() {
        tree.file(path("d/d/file"), new byte[0]);
        tree.link(path("a0"), "d");
        for (int i = 1; i < 20; i++) {
            tree.link(path("a" + i), "a" + (i - 1));
            tree.link(path("d/b" + i), i == 1 ? "d" : "b" + (i - 1));
        }
        tree.link(path("d/b20"), "b19");
        tree.link(path("d/b21"), "b20");
        assertThat(tree.resolve("a19/b20/file")).contains("d/d/file");
        assertThat(tree.resolve("a19/b21/file")).isEmpty();
    }

    @Test
    void aChainOfLinksMayBeLongerThanAnyStack() {
        chain("l", 150_000);
        assertThat(tree.resolve("l150000")).isEmpty();
        assertThat(tree.resolve("l40")).contains("l0");
    }

    /** Each of the targets has 2,000 names, forty of them are on the way, and two hundred thousand times is asked. */
    @Test
    @Timeout(value = 30, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
    void aLinkIsFollowedOnceHoweverOftenIsAsked() {
        tree.file(path("0"), new byte[0]);
        for (int i = 1; i <= MAX_LINKS; i++) {
            tree.link(path(Integer.toString(i)), "./".repeat(2_000) + (i - 1));
        }
        int found = 0;
        for (int i = 0; i < 200_000; i++) {
            found += tree.resolve("40").isPresent() ? 1 : 0;
        }
        assertThat(found).isEqualTo(200_000);
    }

    @Test
    void filesLongerThanALimitAreAbsent() {
        tree.file(path("a"), new byte[5]);
        assertThat(tree.bytes("a", 5)).isPresent();
        assertThat(tree.bytes("a", 4)).isEmpty();
    }

    @Test
    void allThatIsOnThePathsCounts() {
        tree.file(path("a/b/c"), new byte[0]);
        tree.link(path("a/b/d"), "c");
        tree.directory(path("a/e"));
        assertThat(tree.size()).isEqualTo(5);
    }

    /** Against a way to follow paths that remembers nothing. */
    @RepeatedTest(20)
    void everyPathLeadsWhereItLeadsWhenNothingIsRemembered() {
        long seed = new Random().nextLong();
        Random random = new Random(seed);
        Map<String, Optional<String>> plain = new TreeMap<>(Map.of("", Optional.empty()));
        List<String> paths = new ArrayList<>();
        for (int i = 0; i < 60; i++) {
            String at = random.nextInt(3) == 0 || paths.isEmpty() ? "" : paths.get(random.nextInt(paths.size())) + "/";
            String path = at + "abcdef".charAt(random.nextInt(6));
            if (plain.containsKey(path) || isBelowLink(plain, path)) {
                continue;
            }
            if (random.nextInt(3) == 0) {
                String target = target(random, paths);
                plain.put(path, Optional.of(target));
                tree.link(path(path), target);
            } else {
                plain.put(path, Optional.empty());
                tree.directory(path(path));
                paths.add(path);
            }
        }
        for (int i = 0; i < 200; i++) {
            String asked = target(random, paths);
            assertThat(tree.resolve(asked))
                    .as("seed %d, %s in %s", seed, asked, plain)
                    .isEqualTo(follow(plain, asked));
        }
    }

    private static boolean isBelowLink(Map<String, Optional<String>> plain, String path) {
        return plain.entrySet().stream()
                .anyMatch(entry -> entry.getValue().isPresent() && path.startsWith(entry.getKey() + "/"));
    }

    private static String target(Random random, List<String> paths) {
        StringBuilder target = new StringBuilder(random.nextInt(4) == 0 ? "/" : "");
        if (random.nextBoolean() && !paths.isEmpty()) {
            target.append(paths.get(random.nextInt(paths.size()))).append('/');
        }
        for (int i = random.nextInt(3); i >= 0; i--) {
            target.append(new String[] {"..", ".", "", "a", "b", "c", "d", "e", "f"}[random.nextInt(9)])
                    .append('/');
        }
        return target.substring(0, target.length() - 1);
    }

    private static Optional<String> follow(Map<String, Optional<String>> plain, String path) {
        Deque<String> rest = new ArrayDeque<>(List.of(path.split("/", -1)));
        String at = "";
        int links = 0;
        while (!rest.isEmpty()) {
            String name = rest.pop();
            if (name.isEmpty() || name.equals(".")) {
                continue;
            }
            if (name.equals("..")) {
                if (at.isEmpty()) {
                    return Optional.empty();
                }
                at = at.substring(0, Math.max(0, at.lastIndexOf('/')));
                continue;
            }
            String next = at.isEmpty() ? name : at + "/" + name;
            if (!plain.containsKey(next)) {
                return Optional.empty();
            }
            Optional<String> target = plain.get(next);
            if (target.isEmpty()) {
                at = next;
                continue;
            }
            if (++links > MAX_LINKS) {
                return Optional.empty();
            }
            at = target.get().startsWith("/") ? "" : at;
            List<String> names = List.of(target.get().split("/", -1));
            for (int i = names.size() - 1; i >= 0; i--) {
                rest.push(names.get(i));
            }
        }
        return Optional.of(at);
    }
}
