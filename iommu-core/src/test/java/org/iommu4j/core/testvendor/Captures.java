// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.core.testvendor;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.iommu4j.pci.PciAddress;

/** What the tests of groups need of a captured {@code sys/} tree in a tar file. */
public final class Captures {
    private static final int BLOCK = 512;
    private static final String PCI = "[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\\.[0-7]";
    private static final Pattern MEMBER = Pattern.compile("sys/kernel/iommu_groups/(\\d+)/devices/(" + PCI + ")");

    /**
     * A host.
     *
     * @param name of the file
     * @param functions the PCI functions
     * @param groups Linux's groups by number
     */
    public record Capture(String name, List<TestFunction> functions, Map<Integer, Set<PciAddress>> groups) {}

    private Captures() {}

    /** Reads a capture in ustar format, GNU's long names included. */
    public static Capture read(Path tar) throws IOException {
        byte[] bytes = Files.readAllBytes(tar);
        List<TestFunction> functions = new ArrayList<>();
        Map<Integer, Set<PciAddress>> groups = new TreeMap<>();
        String longName = null;
        int at = 0;
        while (at + BLOCK <= bytes.length && bytes[at] != 0) {
            int size = Integer.parseInt(text(bytes, at + 124, 12).trim(), 8);
            char type = (char) bytes[at + 156];
            byte[] content = Arrays.copyOfRange(bytes, at + BLOCK, at + BLOCK + size);
            String prefix = text(bytes, at + 345, 155);
            boolean ustar = bytes[at + 262] == 0;
            String name = longName != null
                    ? longName
                    : (ustar && !prefix.isEmpty() ? prefix + "/" : "") + text(bytes, at, 100);
            longName = type == 'L' ? text(content, 0, content.length) : null;
            if (type != 'L') {
                add(name.startsWith("./") ? name.substring(2) : name, type, content, functions, groups);
            }
            at += BLOCK + (size + BLOCK - 1) / BLOCK * BLOCK;
        }
        return new Capture(tar.getFileName().toString(), functions, groups);
    }

    private static void add(
            String name,
            char type,
            byte[] content,
            List<TestFunction> functions,
            Map<Integer, Set<PciAddress>> groups) {
        if (name.startsWith("sys/devices/pci") && name.endsWith("/config") && type != '2') {
            Path path = Path.of(name);
            String above = path.getName(path.getNameCount() - 3).toString();
            PciAddress bridge = above.startsWith("pci") ? null : PciAddress.parse(above);
            functions.add(new TestFunction(
                    PciAddress.parse(path.getName(path.getNameCount() - 2).toString()), bridge, content));
        }
        Matcher member = MEMBER.matcher(name);
        if (member.matches()) {
            groups.computeIfAbsent(Integer.valueOf(member.group(1)), key -> new TreeSet<>())
                    .add(PciAddress.parse(member.group(2)));
        }
    }

    private static String text(byte[] bytes, int from, int length) {
        int end = from;
        while (end < from + length && bytes[end] != 0) {
            end++;
        }
        return new String(bytes, from, end - from, StandardCharsets.UTF_8);
    }
}
