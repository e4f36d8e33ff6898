// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.io.ByteArrayInputStream;
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
import java.util.zip.ZipEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.jspecify.annotations.Nullable;

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
            SysfsReader.LOG_OF_SOS,
            "var/log/dmesg");

    /** Where sosreport keeps what commands printed. */
    private static final String COMMANDS = "sos_commands";

    /** Directories of a host's own root, in which what is read lies. */
    private static final Set<String> AT_ROOT = Set.of("sys", "proc", "usr", "var", COMMANDS);

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
    private final @Nullable TextInputs beside;
    private final FileTree tree = new FileTree(MAX_LINKS);
    /** The directory of an archive that everything of the host is in; null until that is known. */
    private @Nullable String top;

    private int entries;
    private long totalBytes;
    private long askedBytes;

    private CaptureFiles(String source, @Nullable TextInputs beside) {
        this.source = source;
        this.beside = beside;
    }

    /**
     * Reads a capture.
     *
     * @param path a directory, or a tar or zip file, that holds {@code sys/}
     * @throws InputException when it can't be read, is not a complete tar, is too big, or holds no {@code sys/}
     *     tree
     */
    public static CaptureFiles open(Path path) {
        return read(path, null).withSysTree();
    }

    /**
     * Reads a capture, or what diagnostics gather, with or without {@code sys/}.
     *
     * @param path a directory, or a tar or zip file
     * @param beside receives other files of an archive, and of a directory those at its root and of sosreport; null
     *     where they do not matter
     * @throws InputException when it can't be read, is not a complete tar, or is too big
     */
    static CaptureFiles read(Path path, @Nullable TextInputs beside) {
        if (Files.isDirectory(path)) {
            CaptureFiles files = new CaptureFiles(path.toString(), beside);
            try {
                files.readDirectory(path);
            } catch (IOException e) {
                throw unreadable(path.toString(), e);
            }
            return files;
        }
        TextLines.requireContents(path);
        try {
            return ofArchive(Files.newInputStream(path), path.toString(), beside);
        } catch (IOException e) {
            throw unreadable(path.toString(), e);
        }
    }

    /**
     * Reads a tar or zip, compressed or not.
     *
     * @param in is closed
     * @param source where it comes from, for messages
     * @param beside as in {@link #read}
     * @throws InputException as {@link #read} does
     */
    static CaptureFiles ofArchive(InputStream in, String source, @Nullable TextInputs beside) {
        CaptureFiles files = new CaptureFiles(source, beside);
        try (InputStream unpacked = Packing.unpacked(in, source)) {
            if (Packing.isZip(Packing.head(unpacked))) {
                WholeZip zip = new WholeZip(unpacked);
                files.readZip(zip);
                if (!zip.ended(MAX_TOTAL_BYTES)) {
                    throw new InputException(
                            source + ": is truncated, expected the record that ends a zip; copy it again");
                }
            } else {
                WholeTar tar = new WholeTar(unpacked);
                files.readTar(tar);
                if (!tar.ended()) {
                    throw new InputException(source + ": is truncated, expected the empty block that ends a tar;"
                            + " copy it again, or make it again");
                }
            }
        } catch (IOException e) {
            throw unreadable(source, e);
        }
        return files;
    }

    private static InputException unreadable(String source, IOException e) {
        return InputException.of(source, "can't be read as a capture", e);
    }

    /** Returns whether it holds a {@code sys/} tree. */
    boolean hasSysTree() {
        return tree.hasDirectory("sys");
    }

    private CaptureFiles withSysTree() {
        if (!hasSysTree()) {
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
            List<String> path = inHost(path(name));
            count(1, tar.position() - from, name);
            boolean isFile = entry.isFile() && !entry.isFIFO() && !entry.isCharacterDevice() && !entry.isBlockDevice();
            if (!isWanted(path)) {
                count(0, Math.max(0, entry.getSize()), name);
                if (isFile && !entry.isSymbolicLink() && !entry.isLink()) {
                    offer(path, tar, entry.getSize());
                }
            } else if (entry.isSymbolicLink()) {
                tree.link(path, target(name, entry.getLinkName()));
            } else if (entry.isLink()) {
                // A second name of a file that the tar already has, by its path from the top.
                tree.link(path, target(name, "/" + String.join("/", inHost(path(entry.getLinkName())))));
            } else if (entry.isDirectory()) {
                tree.directory(path);
            } else if (isFile) {
                file(path, contents(tar, name, entry.getSize()));
            }
            countNodes();
            from = tar.position();
            entry = tar.next();
        }
    }

    /** A zip states a file's size behind it. */
    private void readZip(WholeZip zip) throws IOException {
        ZipEntry entry = zip.getNextEntry();
        while (entry != null) {
            String name = entry.getName();
            // Windows writes its own separator.
            List<String> path = inHost(path(name.replace('\\', '/')));
            count(1, name.length(), name);
            if (entry.isDirectory()) {
                if (isWanted(path)) {
                    tree.directory(path);
                }
            } else {
                byte[] bytes = zip.readNBytes(HostFiles.MAX_FILE_BYTES + 1);
                count(0, bytes.length, name);
                if (bytes.length > HostFiles.MAX_FILE_BYTES) {
                    byte[] rest = new byte[BUFFER_BYTES];
                    for (int read = zip.read(rest); read >= 0; read = zip.read(rest)) {
                        count(0, read, name);
                    }
                    if (isWanted(path)) {
                        throw tooBig(name);
                    }
                    leaveOut(path);
                } else if (isWanted(path)) {
                    file(path, bytes);
                } else {
                    offer(path, new ByteArrayInputStream(bytes), bytes.length);
                }
            }
            countNodes();
            entry = zip.getNextEntry();
        }
    }

    /** Puts a file into the tree; one at the root may be a text. */
    private void file(List<String> path, byte[] bytes) throws IOException {
        tree.file(path, bytes);
        if (path.size() == 1) {
            offer(path, new ByteArrayInputStream(bytes), bytes.length);
        }
    }

    /** Offers a file that is not of the tree; compressed logs are of earlier boots. */
    private void offer(List<String> path, InputStream in, long size) throws IOException {
        TextInputs texts = beside;
        if (texts == null || path.isEmpty() || path.contains("sys") || path.contains("proc") || size <= 0) {
            return;
        }
        if (size > HostFiles.MAX_FILE_BYTES) {
            leaveOut(path);
            return;
        }
        byte[] bytes = in.readNBytes((int) size);
        if (!path.equals(List.of(HostCapture.MISSING)) && (TextLines.isText(bytes) || AcpiReader.recognises(bytes))) {
            texts.offer(TextLines.printable(String.join("/", path)), bytes);
        }
    }

    private void leaveOut(List<String> path) {
        if (beside != null) {
            beside.leaveOut(TextLines.printable(String.join("/", path)) + ": is too big, expected at most "
                    + (HostFiles.MAX_FILE_BYTES >> 20) + " MiB");
        }
    }

    /** Diagnostics put all into one directory, with the name of the host and the time: the path goes on below it. */
    private List<String> inHost(List<String> path) {
        if (path.size() < 2) {
            return path;
        }
        List<String> below = path.subList(1, path.size());
        String host = null;
        if (AT_ROOT.contains(path.get(0))) {
            host = path.get(0).equals("sys") ? "" : null;
        } else if (below.get(0).equals("sys") || BESIDE.contains(String.join("/", below))) {
            host = path.get(0);
        }
        if (host != null && !host.equals(top)) {
            if (top == null || !hasSysTree()) {
                top = host;
            } else if (!top.isEmpty() && !BESIDE.contains(String.join("/", below))) {
                throw new InputException(source + ": holds sys/ twice, in '" + TextLines.printable(top) + "' and in '"
                        + TextLines.printable(host) + "', expected the files of one host");
            }
        }
        return path.get(0).equals(top) ? below : path;
    }

    private void readDirectory(Path top) throws IOException {
        Files.walkFileTree(top, new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult preVisitDirectory(Path directory, BasicFileAttributes attributes) {
                if (!directory.equals(top)) {
                    String name = top.relativize(directory).toString();
                    List<String> path = path(name);
                    if (!isWanted(path) || !path.get(0).equals("sys")) {
                        boolean leads = path.get(0).equals(COMMANDS)
                                || BESIDE.stream().anyMatch(file -> file.startsWith(name + "/"));
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
                    if (path.get(0).equals(COMMANDS) && attributes.isRegularFile()) {
                        count(1, attributes.size(), name);
                        try (InputStream in = Files.newInputStream(file)) {
                            offer(path, in, attributes.size());
                        }
                    }
                    return FileVisitResult.CONTINUE;
                }
                count(1, 0, name);
                if (attributes.isSymbolicLink()) {
                    tree.link(path, target(name, Files.readSymbolicLink(file).toString()));
                } else if (attributes.isRegularFile()) {
                    try (InputStream in = Files.newInputStream(file)) {
                        file(path, contents(in, name, attributes.size()));
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
