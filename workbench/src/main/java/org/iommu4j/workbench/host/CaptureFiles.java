// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.host;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.zip.GZIPInputStream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveInputStream;
import org.jspecify.annotations.Nullable;

/**
 * The files of a capture by their path inside it, links included.
 *
 * <p>Of a directory only {@code sys/}, a few files of {@code proc/}, {@code usr/} and {@code var/}, and the files at its
 * root are read. Links are resolved inside the capture, at most {@value #MAX_LINKS} of them on one path; one that leads
 * outside leads nowhere.
 */
public final class CaptureFiles implements HostFiles {
    private static final Pattern SLASH = Pattern.compile("/");

    /** What is read of a directory besides {@code sys/} and the files at its root. */
    private static final Set<String> BESIDE = Set.of(
            "proc/cmdline",
            "proc/version",
            "proc/sys/kernel/osrelease",
            "usr/share/misc/pci.ids",
            "usr/share/hwdata/pci.ids",
            "var/log/dmesg");

    private static final int MAX_LINKS = 40;
    private static final int MAX_ENTRIES = 200_000;
    private static final int MAX_FILE_BYTES = 16 << 20;
    private static final long MAX_TOTAL_BYTES = 256L << 20;

    /** A file has contents, a link a target, a directory neither. */
    @SuppressWarnings("ArrayRecordComponent") // never leaves this class uncopied
    private record Entry(
            byte @Nullable [] contents, @Nullable String target) {}

    private final String source;
    private final Map<String, Entry> entries = new HashMap<>();
    private final Map<String, TreeSet<String>> children = new HashMap<>();
    private long totalBytes;

    private CaptureFiles(String source) {
        this.source = source;
        entries.put("", new Entry(null, null));
    }

    /**
     * Reads a capture.
     *
     * @param path a directory or a tar file that holds {@code sys/}
     * @throws InputException when it can't be read, is no tar, is too big, or holds no {@code sys/} tree
     */
    public static CaptureFiles open(Path path) {
        CaptureFiles files = new CaptureFiles(path.toString());
        try {
            if (Files.isDirectory(path)) {
                files.readDirectory(path);
            } else if (Files.isRegularFile(path)) {
                try (InputStream in = new BufferedInputStream(Files.newInputStream(path))) {
                    files.readTar(in);
                }
            } else {
                throw new InputException(
                        path + ": no such file or directory, expected a directory or tar with a Linux sys/ tree");
            }
        } catch (IOException e) {
            throw unreadable(path.toString(), e);
        }
        return files.withSysTree();
    }

    /**
     * Reads a tar, compressed or not.
     *
     * @param in supports marks
     * @param source where it comes from, for messages
     * @throws InputException as {@link #open} does
     */
    static CaptureFiles ofTar(InputStream in, String source) {
        CaptureFiles files = new CaptureFiles(source);
        try {
            files.readTar(in);
        } catch (IOException e) {
            throw unreadable(source, e);
        }
        return files.withSysTree();
    }

    private static InputException unreadable(String source, IOException e) {
        return new InputException(source + ": can't be read as a capture (" + reason(e) + ")", e);
    }

    private CaptureFiles withSysTree() {
        if (!children.containsKey("sys")) {
            throw new InputException(source + ": no capture, expected a directory or tar with a Linux sys/ tree");
        }
        return this;
    }

    @Override
    public String source() {
        return source;
    }

    @Override
    public Optional<byte[]> bytes(String path) {
        return resolve(path).map(entries::get).map(Entry::contents).map(byte[]::clone);
    }

    @Override
    public boolean isDirectory(String path) {
        return resolve(path).map(children::containsKey).orElse(false);
    }

    @Override
    public List<String> list(String path) {
        return resolve(path).map(children::get).map(List::copyOf).orElse(List.of());
    }

    @Override
    public Optional<String> resolve(String path) {
        Deque<String> rest = new ArrayDeque<>(Arrays.asList(SLASH.split(path, -1)));
        List<String> done = new ArrayList<>();
        int links = 0;
        while (!rest.isEmpty()) {
            String name = rest.pop();
            if (name.isEmpty() || name.equals(".")) {
                continue;
            }
            if (name.equals("..")) {
                if (done.isEmpty()) {
                    return Optional.empty();
                }
                done.remove(done.size() - 1);
                continue;
            }
            done.add(name);
            Entry entry = entries.get(String.join("/", done));
            if (entry == null) {
                return Optional.empty();
            }
            String target = entry.target();
            if (target != null) {
                if (++links > MAX_LINKS) {
                    return Optional.empty();
                }
                done.remove(done.size() - 1);
                if (target.startsWith("/")) {
                    done.clear();
                }
                String[] parts = SLASH.split(target, -1);
                for (int i = parts.length - 1; i >= 0; i--) {
                    rest.push(parts[i]);
                }
            }
        }
        return Optional.of(String.join("/", done));
    }

    /** Returns why in one line; of a file that the user may not read, Java says no more than its name. */
    static String reason(IOException failure) {
        String message = failure.getMessage();
        if (message == null) {
            return failure.toString();
        }
        String line = message.lines().findFirst().orElse("");
        return failure instanceof AccessDeniedException ? line + ": permission denied" : line;
    }

    private void readTar(InputStream in) throws IOException {
        try (InputStream plain = unzipped(in);
                TarArchiveInputStream tar = new TarArchiveInputStream(plain)) {
            TarArchiveEntry entry = tar.getNextEntry();
            while (entry != null) {
                if (entry.isSymbolicLink()) {
                    add(entry.getName(), new Entry(null, entry.getLinkName()));
                } else if (entry.isDirectory()) {
                    add(entry.getName(), new Entry(null, null));
                } else if (entry.isFile()) {
                    add(entry.getName(), new Entry(contents(tar, entry.getName(), entry.getSize()), null));
                }
                entry = tar.getNextEntry();
            }
        }
    }

    /** Returns whether bytes begin as gzip does. */
    static boolean isGzip(byte[] head) {
        return head.length >= 2 && head[0] == 0x1f && (head[1] & 0xff) == 0x8b;
    }

    private static InputStream unzipped(InputStream in) throws IOException {
        in.mark(2);
        byte[] head = in.readNBytes(2);
        in.reset();
        return isGzip(head) ? new BufferedInputStream(new GZIPInputStream(in)) : in;
    }

    private void readDirectory(Path root) throws IOException {
        Files.walkFileTree(root, new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult preVisitDirectory(Path directory, BasicFileAttributes attributes) {
                if (!directory.equals(root)) {
                    String name = root.relativize(directory).toString();
                    if (!name.equals("sys")
                            && !name.startsWith("sys/")
                            && BESIDE.stream().noneMatch(file -> file.startsWith(name + "/"))) {
                        return FileVisitResult.SKIP_SUBTREE;
                    }
                    add(name, new Entry(null, null));
                }
                return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) throws IOException {
                String name = root.relativize(file).toString();
                if (name.indexOf('/') >= 0 && !name.startsWith("sys/") && !BESIDE.contains(name)) {
                    return FileVisitResult.CONTINUE;
                }
                if (attributes.isSymbolicLink()) {
                    add(name, new Entry(null, Files.readSymbolicLink(file).toString()));
                } else if (attributes.isRegularFile()) {
                    try (InputStream in = Files.newInputStream(file)) {
                        add(name, new Entry(contents(in, name, attributes.size()), null));
                    }
                }
                return FileVisitResult.CONTINUE;
            }
        });
    }

    /** Most files are as long as their entry states; those of a live sysfs may be longer or shorter. */
    private byte[] contents(InputStream in, String name, long stated) throws IOException {
        byte[] bytes = in.readNBytes((int) Math.max(0, Math.min(stated, MAX_FILE_BYTES + 1)));
        int next = bytes.length == stated ? in.read() : -1;
        if (next >= 0) {
            byte[] rest = in.readNBytes(MAX_FILE_BYTES);
            byte[] whole = Arrays.copyOf(bytes, bytes.length + 1 + rest.length);
            whole[bytes.length] = (byte) next;
            System.arraycopy(rest, 0, whole, bytes.length + 1, rest.length);
            bytes = whole;
        }
        totalBytes += bytes.length;
        if (bytes.length > MAX_FILE_BYTES || totalBytes > MAX_TOTAL_BYTES) {
            throw new InputException(source + ": " + name + " is too big, expected at most " + (MAX_FILE_BYTES >> 20)
                    + " MiB a file and " + (MAX_TOTAL_BYTES >> 20) + " MiB in all");
        }
        return bytes;
    }

    private void add(String rawName, Entry entry) {
        List<String> parts = new ArrayList<>();
        for (String part : SLASH.split(rawName, -1)) {
            if (part.equals("..")) {
                throw new InputException(source + ": entry '" + rawName + "' leads outside the capture");
            }
            if (!part.isEmpty() && !part.equals(".")) {
                parts.add(part);
            }
        }
        if (parts.isEmpty()) {
            return;
        }
        if (entries.size() >= MAX_ENTRIES) {
            throw new InputException(source + ": more than " + MAX_ENTRIES + " entries");
        }
        String parent = "";
        for (int i = 0; i < parts.size(); i++) {
            children.computeIfAbsent(parent, unused -> new TreeSet<>()).add(parts.get(i));
            parent = parent.isEmpty() ? parts.get(i) : parent + "/" + parts.get(i);
            if (i < parts.size() - 1) {
                entries.putIfAbsent(parent, new Entry(null, null));
            }
        }
        entries.put(parent, entry);
        if (entry.contents() == null && entry.target() == null) {
            children.computeIfAbsent(parent, unused -> new TreeSet<>());
        }
    }
}
