// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Files, directories and links in memory; links are resolved inside it, and one that leads outside leads nowhere.
 *
 * <p>It must be complete before the first question: each link is followed once, and its target is kept. Not
 * thread-safe.
 */
final class FileTree {
    /** A file has contents, a link leads on, a directory does neither. */
    private static final class Node {
        private final String name;
        private final @Nullable Node parent;
        private Map<String, Node> children = Map.of();
        private byte @Nullable [] contents;
        private @Nullable Link link;

        private Node(String name, @Nullable Node parent) {
            this.name = name;
            this.parent = parent;
        }

        private boolean isDirectory() {
            return contents == null && link == null;
        }
    }

    /** A link, and once it is followed where it leads. */
    private static final class Link {
        private final String target;
        private boolean met;
        private @Nullable Node end;
        /** Links on the way, itself among them. */
        private int links;

        private Link(String target) {
            this.target = target;
        }
    }

    /** A path that is being followed. */
    private final class Walk {
        private final @Nullable Link of;
        private final String path;
        private int at;
        /** Where it is so far, null where it leads nowhere. */
        private @Nullable Node node;

        private int links;

        private Walk(@Nullable Link of, String path, Node from) {
            this.of = of;
            this.path = path;
            this.node = path.startsWith("/") ? root : from;
        }

        /** Continues to the end, or to a link that is not followed yet, which is returned. */
        private @Nullable Link go() {
            while (node != null && at <= path.length()) {
                int slash = path.indexOf('/', at);
                int end = slash < 0 ? path.length() : slash;
                if (end > at && !(end == at + 1 && path.charAt(at) == '.')) {
                    String name = path.substring(at, end);
                    Node next = name.equals("..") ? node.parent : node.children.get(name);
                    Link link = next == null ? null : next.link;
                    if (link != null) {
                        if (!link.met) {
                            return link;
                        }
                        // One that is met while it is being followed is a loop, and has no end.
                        links += link.links;
                        next = links > maxLinks ? null : link.end;
                    }
                    node = next;
                }
                at = end + 1;
            }
            return null;
        }
    }

    private final int maxLinks;
    private final Node root = new Node("", null);
    private int size;

    /**
     * Makes an empty tree.
     *
     * @param maxLinks on one path; with more it leads nowhere
     */
    FileTree(int maxLinks) {
        this.maxLinks = maxLinks;
    }

    /** Returns how many files, directories and links it has. */
    int size() {
        return size;
    }

    private Node node(List<String> path) {
        Node node = root;
        for (String name : path) {
            Node next = node.children.get(name);
            if (next == null) {
                if (node.children.isEmpty()) {
                    node.children = new HashMap<>(4);
                }
                next = new Node(name, node);
                node.children.put(name, next);
                size++;
            }
            node = next;
        }
        return node;
    }

    /** Puts a file, in place of what was there. */
    void file(List<String> path, byte[] contents) {
        Node node = node(path);
        node.contents = contents;
        node.link = null;
    }

    /** Puts a link, in place of what was there. */
    void link(List<String> path, String target) {
        Node node = node(path);
        node.contents = null;
        node.link = new Link(target);
    }

    /** Puts a directory, which keeps what is below. */
    void directory(List<String> path) {
        Node node = node(path);
        node.contents = null;
        node.link = null;
    }

    /** Returns whether a directory of a name is at the top. */
    boolean hasDirectory(String name) {
        Node node = root.children.get(name);
        return node != null && node.isDirectory();
    }

    /** Returns a copy of a file's contents; empty when there is no such file, or it is longer than a limit. */
    Optional<byte[]> bytes(String path, int max) {
        Node node = find(path);
        return node == null || node.contents == null || node.contents.length > max
                ? Optional.empty()
                : Optional.of(node.contents.clone());
    }

    boolean isDirectory(String path) {
        Node node = find(path);
        return node != null && node.isDirectory();
    }

    /** Returns the names in a directory, sorted. */
    List<String> list(String path) {
        Node node = find(path);
        return node == null
                ? List.of()
                : node.children.keySet().stream().sorted().toList();
    }

    /** Returns the path without links. */
    Optional<String> resolve(String path) {
        Node node = find(path);
        if (node == null) {
            return Optional.empty();
        }
        Deque<String> names = new ArrayDeque<>();
        for (Node each = node; each.parent != null; each = each.parent) {
            names.push(each.name);
        }
        return Optional.of(String.join("/", names));
    }

    /**
     * Follows a path and its links. What waits for a link is on a stack of our own, for chains of links may be long.
     */
    private @Nullable Node find(String path) {
        Deque<Walk> walks = new ArrayDeque<>();
        Walk walk = new Walk(null, path, root);
        while (true) {
            Link link = walk.go();
            Node from = walk.node;
            if (link != null && from != null) {
                link.met = true;
                walks.push(walk);
                walk = new Walk(link, link.target, from);
            } else if (walk.of == null) {
                return from;
            } else {
                walk.of.end = from;
                walk.of.links = walk.links + 1;
                walk = walks.pop();
            }
        }
    }
}
