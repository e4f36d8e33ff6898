// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.host;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Files, directories and links in memory; links are resolved inside it, and one that leads outside leads nowhere. */
final class FileTree {
    /** A file has contents, a link a target, a directory neither. */
    private static final class Node {
        private final Map<String, Node> children = new HashMap<>(4);
        private byte @Nullable [] contents;
        private @Nullable String target;

        private boolean isDirectory() {
            return contents == null && target == null;
        }
    }

    private final int maxLinks;
    private final Node root = new Node();

    /**
     * Makes an empty tree.
     *
     * @param maxLinks on one path; with more it leads nowhere
     */
    FileTree(int maxLinks) {
        this.maxLinks = maxLinks;
    }

    private Node node(List<String> path) {
        Node node = root;
        for (String name : path) {
            node = node.children.computeIfAbsent(name, unused -> new Node());
        }
        return node;
    }

    /** Puts a file, in place of what was there. */
    void file(List<String> path, byte[] contents) {
        Node node = node(path);
        node.contents = contents;
        node.target = null;
    }

    /** Puts a link, in place of what was there. */
    void link(List<String> path, String target) {
        Node node = node(path);
        node.contents = null;
        node.target = target;
    }

    /** Puts a directory, which keeps what is below. */
    void directory(List<String> path) {
        Node node = node(path);
        node.contents = null;
        node.target = null;
    }

    /** Returns whether a directory of a name is at the top. */
    boolean hasDirectory(String name) {
        Node node = root.children.get(name);
        return node != null && node.isDirectory();
    }

    /** Returns a copy of a file's contents. */
    Optional<byte[]> bytes(String path) {
        Node node = find(path, null);
        return node == null || node.contents == null ? Optional.empty() : Optional.of(node.contents.clone());
    }

    boolean isDirectory(String path) {
        Node node = find(path, null);
        return node != null && node.isDirectory();
    }

    /** Returns the names in a directory, sorted. */
    List<String> list(String path) {
        Node node = find(path, null);
        return node == null
                ? List.of()
                : node.children.keySet().stream().sorted().toList();
    }

    /** Returns the path without links. */
    Optional<String> resolve(String path) {
        List<String> real = new ArrayList<>();
        return find(path, real) == null ? Optional.empty() : Optional.of(String.join("/", real));
    }

    /** Follows a path and its links; tells the names on the real one where somebody asks. */
    private @Nullable Node find(String path, @Nullable List<String> real) {
        Deque<String> rest = new ArrayDeque<>();
        push(rest, path);
        Deque<Node> above = new ArrayDeque<>();
        Node node = root;
        int links = 0;
        while (!rest.isEmpty()) {
            String name = rest.pop();
            if (name.isEmpty() || name.equals(".")) {
                continue;
            }
            if (name.equals("..")) {
                if (above.isEmpty()) {
                    return null;
                }
                node = above.pop();
                if (real != null) {
                    real.remove(real.size() - 1);
                }
                continue;
            }
            Node next = node.children.get(name);
            if (next == null) {
                return null;
            }
            String target = next.target;
            if (target == null) {
                above.push(node);
                node = next;
                if (real != null) {
                    real.add(name);
                }
                continue;
            }
            if (++links > maxLinks) {
                return null;
            }
            if (target.startsWith("/")) {
                above.clear();
                node = root;
                if (real != null) {
                    real.clear();
                }
            }
            push(rest, target);
        }
        return node;
    }

    private static void push(Deque<String> rest, String path) {
        int end = path.length();
        while (end >= 0) {
            int slash = path.lastIndexOf('/', end - 1);
            rest.push(path.substring(slash + 1, end));
            end = slash;
        }
    }
}
