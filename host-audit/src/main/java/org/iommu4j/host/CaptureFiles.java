// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.zip.GZIPInputStream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;

/**
 * The files of a capture by their path inside it, links included.
 *
 * <p>Only {@code sys/}, a few files of {@code proc/}, {@code usr/} and {@code var/}, and the files at its root are
 * read. Links are resolved inside the capture, at most {@value #MAX_LINKS} of them on one path; one that leads outside
 * leads nowhere.
 */
public final class CaptureFiles implements HostFiles {
    /** What is read besides {@code sys/} and the files at the root. */
    private static final Set<String> BESIDE = Set.of(
            "proc/cmdline",
            "proc/version",
            "proc/sys/kernel/osrelease",
            "usr/share/misc/pci.ids",
            "usr/share/hwdata/pci.ids",
            "var/log/dmesg");

    private static final int MAX_LINKS = 40;
    private static final int MAX_ENTRIES = 200_000;
    private static final long MAX_TOTAL_BYTES = 256L << 20;

    /** Characters of a name with its path, and of where a link leads: Linux's PATH_MAX. */
    private static final int MAX_PATH = 4096;

    /** Bytes of all requested files with links followed, because links can expand a small capture. */
    private static final long MAX_ASKED_BYTES = 512L << 20;

    /** What each question and each name that answers it costs at least. */
    private static final int ASKED = 64;

    private static final int BUFFER_BYTES = 1 << 16;

    private final String source;
    private final FileTree tree = new FileTree(MAX_LINKS);
    private int entries;
    private long totalBytes;
    private long askedBytes;

    private CaptureFiles(String source) {
        this.source = source;
    }

    /**
     * Reads a capture.
     *
     * @param path a directory or a tar file that holds {@code sys/}
     * @throws InputException when it can't be read, is not a complete tar, is too big, or holds no {@code sys/}
     *     tree
     */
    public static CaptureFiles open(Path path) {
        if (Files.isDirectory(path)) {
            CaptureFiles files = new CaptureFiles(path.toString());
            try {
                files.readDirectory(path);
            } catch (IOException e) {
                throw unreadable(path.toString(), e);
            }
            return files.withSysTree();
        }
        TextLines.requireContents(path);
        try {
            return ofTar(Files.newInputStream(path), path.toString());
        } catch (IOException e) {
            throw unreadable(path.toString(), e);
        }
    }

    /**
     * Reads a tar, compressed or not.
     *
     * @param in is closed
     * @param source where it comes from, for messages
     * @throws InputException as {@link #open} does
     */
    static CaptureFiles ofTar(InputStream in, String source) {
        CaptureFiles files = new CaptureFiles(source);
        try (WholeTar tar = new WholeTar(unzipped(in))) {
            files.readTar(tar);
            if (!tar.ended()) {
                throw new InputException(source
                        + ": is truncated, expected the empty block that ends a tar; copy it again, or make it again");
            }
        } catch (IOException e) {
            throw unreadable(source, e);
        }
        return files.withSysTree();
    }

    private static InputException unreadable(String source, IOException e) {
        return new InputException(source + ": can't be read as a capture (" + InputException.reason(e) + ")", e);
    }

    private CaptureFiles withSysTree() {
        if (!tree.hasDirectory("sys")) {
            throw new InputException(source + ": is not a capture, expected a directory or tar with a Linux sys/ tree");
        }
        return this;
    }

    @Override
    public String source() {
        return source;
    }

    @Override
    public Optional<byte[]> bytes(String path, int max) {
        Optional<byte[]> bytes = tree.bytes(path, max);
        asked(bytes.isPresent() ? bytes.get().length : 0);
        return bytes;
    }

    @Override
    public boolean isDirectory(String path) {
        asked(0);
        return tree.isDirectory(path);
    }

    @Override
    public List<String> list(String path) {
        List<String> names = tree.list(path);
        asked((long) ASKED * names.size());
        return names;
    }

    @Override
    public Optional<String> resolve(String path) {
        Optional<String> real = tree.resolve(path);
        asked(real.isPresent() ? real.get().length() : 0);
        return real;
    }

    private void asked(long bytes) {
        askedBytes += ASKED + bytes;
        if (askedBytes > MAX_ASKED_BYTES) {
            throw new InputException(source + ": its links expand it to more than " + (MAX_ASKED_BYTES >> 20)
                    + " MiB, expected a Linux sys/ tree");
        }
    }

    private void readTar(WholeTar tar) throws IOException {
        long from = tar.position();
        TarArchiveEntry entry = tar.next();
        while (entry != null) {
            String name = entry.getName();
            List<String> path = path(name);
            count(1, tar.position() - from, name);
            if (!isWanted(path)) {
                count(0, Math.max(0, entry.getSize()), name);
            } else if (entry.isSymbolicLink()) {
                tree.link(path, target(name, entry.getLinkName()));
            } else if (entry.isLink()) {
                // A second name of a file that the tar already has, by its path from the top.
                tree.link(path, target(name, "/" + entry.getLinkName()));
            } else if (entry.isDirectory()) {
                tree.directory(path);
            } else if (entry.isFile() && !entry.isFIFO() && !entry.isCharacterDevice() && !entry.isBlockDevice()) {
                tree.file(path, contents(tar, name, entry.getSize()));
            }
            countNodes();
            from = tar.position();
            entry = tar.next();
        }
    }

    /** Returns whether bytes begin as gzip does. */
    static boolean isGzip(byte[] head) {
        return head.length >= 2 && head[0] == 0x1f && (head[1] & 0xff) == 0x8b;
    }

    private static InputStream unzipped(InputStream file) throws IOException {
        InputStream in = new BufferedInputStream(file, BUFFER_BYTES);
        try {
            in.mark(2);
            byte[] head = in.readNBytes(2);
            in.reset();
            return isGzip(head) ? new BufferedInputStream(new GZIPInputStream(in), BUFFER_BYTES) : in;
        } catch (IOException e) {
            in.close();
            throw e;
        }
    }

    private void readDirectory(Path top) throws IOException {
        Files.walkFileTree(top, new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult preVisitDirectory(Path directory, BasicFileAttributes attributes) {
                if (!directory.equals(top)) {
                    String name = top.relativize(directory).toString();
                    List<String> path = path(name);
                    if (!isWanted(path) || !path.get(0).equals("sys")) {
                        boolean leads = BESIDE.stream().anyMatch(file -> file.startsWith(name + "/"));
                        return leads ? FileVisitResult.CONTINUE : FileVisitResult.SKIP_SUBTREE;
                    }
                    count(1, 0, name);
                    tree.directory(path);
                    countNodes();
                }
                return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) throws IOException {
                String name = top.relativize(file).toString();
                List<String> path = path(name);
                if (!isWanted(path)) {
                    return FileVisitResult.CONTINUE;
                }
                count(1, 0, name);
                if (attributes.isSymbolicLink()) {
                    tree.link(path, target(name, Files.readSymbolicLink(file).toString()));
                } else if (attributes.isRegularFile()) {
                    try (InputStream in = Files.newInputStream(file)) {
                        tree.file(path, contents(in, name, attributes.size()));
                    }
                }
                countNodes();
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
        if (bytes.length > MAX_FILE_BYTES) {
            throw tooBig(name);
        }
        count(0, bytes.length, name);
        return bytes;
    }

    /** Counts skipped entries too: a compressed tar may hold so many that reading never ends. */
    private void count(int more, long bytes, String name) {
        if (more > MAX_ENTRIES - entries) {
            throw new InputException(source + ": more than " + MAX_ENTRIES + " entries");
        }
        if (bytes > MAX_TOTAL_BYTES - totalBytes) {
            throw tooBig(name);
        }
        entries += more;
        totalBytes += bytes;
    }

    /** Entries name the directories above them too. */
    private void countNodes() {
        if (tree.size() > MAX_ENTRIES) {
            throw new InputException(source + ": more than " + MAX_ENTRIES + " files, directories and links");
        }
    }

    private String target(String name, String target) {
        if (target.length() > MAX_PATH) {
            throw new InputException(source + ": link " + TextLines.printable(name) + " leads to a path of "
                    + target.length() + " characters, expected at most " + MAX_PATH);
        }
        return target;
    }

    private InputException tooBig(String name) {
        return new InputException(source + ": " + TextLines.printable(name) + " is too big, expected at most "
                + (MAX_FILE_BYTES >> 20) + " MiB a file and " + (MAX_TOTAL_BYTES >> 20) + " MiB in all");
    }

    private static boolean isWanted(List<String> path) {
        return path.size() == 1
                || (path.size() > 1 && (path.get(0).equals("sys") || BESIDE.contains(String.join("/", path))));
    }

    /** Takes a name apart; none may lead outside. */
    private List<String> path(String name) {
        if (name.length() > MAX_PATH) {
            throw new InputException(
                    source + ": an entry's name has " + name.length() + " characters, expected at most " + MAX_PATH);
        }
        List<String> parts = new ArrayList<>();
        for (int from = 0; from <= name.length(); ) {
            int slash = name.indexOf('/', from);
            String part = name.substring(from, slash < 0 ? name.length() : slash);
            if (part.equals("..")) {
                throw new InputException(
                        source + ": entry '" + TextLines.printable(name) + "' leads outside the capture");
            }
            if (!part.isEmpty() && !part.equals(".")) {
                parts.add(part);
            }
            from = slash < 0 ? name.length() + 1 : slash + 1;
        }
        return parts;
    }
}
