// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * The texts and tables of one host in a folder or an archive, by what is in them.
 *
 * <p>A log that {@code dmesg} printed is preferred to one that a logger kept, and each to one of an earlier boot. What
 * is not read is reported.
 */
final class TextInputs {
    /** Names that logrotate and diagnostics give to logs of earlier boots. */
    private static final Pattern EARLIER =
            Pattern.compile(".*(?:\\.\\d{1,3}|[.-](?:old|prev|previous)|boot_-\\d{1,3})(?:\\.(?:txt|log))?(?:\\.gz)?");

    /** Names of logs that a logger keeps. */
    private static final Pattern KEPT = Pattern.compile("(?:syslog|messages|kern|journal).*");

    private static final int SHOWN = 3;

    private final KernelLogReader logs;
    /** Files in the order in which they were offered, by path: most are read elsewhere, and never recognised here. */
    private final Map<String, byte[]> offered = new LinkedHashMap<>();

    private final List<Text> texts = new ArrayList<>();
    private final List<String> unknown = new ArrayList<>();
    private final List<String> leftOut = new ArrayList<>();

    /** A text or table that states a fact. */
    private static final class Text {
        private final String path;
        private final byte[] bytes;
        private final Set<TextSections.Kind> kinds;

        /**
         * Keeps one.
         *
         * @param path where it is in the folder or archive
         * @param kinds of its parts that state a fact; none for a table
         */
        private Text(String path, byte[] bytes, Set<TextSections.Kind> kinds) {
            this.path = path;
            this.bytes = bytes;
            this.kinds = kinds;
        }

        private String name() {
            return path.substring(path.lastIndexOf('/') + 1);
        }

        /** Returns the order in which logs are preferred; all of the first that there are is read. */
        private int preference() {
            if (!kinds.equals(Set.of(TextSections.Kind.LOG))) {
                return 0;
            }
            return EARLIER.matcher(name()).matches() ? 2 : KEPT.matcher(name()).matches() ? 1 : 0;
        }
    }

    TextInputs(KernelLogReader logs) {
        this.logs = logs;
    }

    /**
     * Offers a file, which is taken if it states a fact.
     *
     * @param path where it is in the folder or archive, printable
     */
    void offer(String path, byte[] bytes) {
        offered.put(path, bytes);
    }

    private List<Text> texts() {
        offered.forEach(this::recognise);
        offered.clear();
        return texts;
    }

    private void recognise(String path, byte[] bytes) {
        if (AcpiReader.recognises(bytes)) {
            texts.add(new Text(path, bytes, Set.of()));
            return;
        }
        try {
            byte[] text = PastedText.ofFile(bytes);
            Set<TextSections.Kind> kinds = TextSections.of(text, path, logs).read(path, HostEvidence.builder(path));
            if (kinds.isEmpty()) {
                unknown.add(path);
            } else {
                texts.add(new Text(path, text, kinds));
            }
        } catch (InputException e) {
            leftOut.add(String.valueOf(e.getMessage()));
        }
    }

    /** Reports a file that is not read. */
    void leaveOut(String problem) {
        leftOut.add(problem);
    }

    /** Returns whether there is none that states a fact. */
    boolean isEmpty() {
        return texts().isEmpty();
    }

    /** Returns up to three files, by the reason why they are not read. */
    String unread() {
        texts();
        List<String> all = new ArrayList<>(leftOut);
        unknown.forEach(path -> all.add(path + ": is of no known kind"));
        return all.isEmpty() ? "it holds no file" : shown(all, "; ");
    }

    private static String shown(List<String> all, String between) {
        return String.join(between, all.subList(0, Math.min(SHOWN, all.size())))
                + (all.size() > SHOWN ? " and " + (all.size() - SHOWN) + " more" : "");
    }

    /**
     * Drops files.
     *
     * @param paths of files that are read elsewhere
     */
    void without(List<String> paths) {
        paths.forEach(offered::remove);
        texts.removeIf(text -> paths.contains(text.path));
    }

    /** Drops logs, where a better one is read elsewhere. */
    void withoutLogs() {
        texts().stream()
                .filter(text -> text.kinds.equals(Set.of(TextSections.Kind.LOG)))
                .forEach(text -> leftOut.add(text.path + ": another log is read"));
        texts.removeIf(text -> text.kinds.equals(Set.of(TextSections.Kind.LOG)));
    }

    /**
     * Refuses files of one name in two directories: they are of two hosts.
     *
     * @throws InputException when there are two that differ
     */
    void requireOneHost(String source) {
        Map<String, Text> byName = new HashMap<>();
        for (Text text : texts()) {
            Text other = byName.putIfAbsent(text.name(), text);
            if (other != null && !Arrays.equals(other.bytes, text.bytes)) {
                throw new InputException(source + ": holds " + other.path + " and " + text.path
                        + ", expected the files of one host; --fleet DIR audits many");
            }
        }
    }

    /**
     * Reads all but logs to which another is preferred.
     *
     * @param source the folder or archive
     * @param sayUnknown whether files of no known kind are reported too
     */
    void read(String source, boolean sayUnknown, EvidenceBuilder host) {
        int preferred = texts().stream()
                .filter(text -> text.kinds.contains(TextSections.Kind.LOG))
                .mapToInt(Text::preference)
                .min()
                .orElse(0);
        for (Text text : texts) {
            if (text.preference() > preferred) {
                leftOut.add(text.path + ": another log is read");
            } else {
                host.input(source + "/" + text.path);
                if (text.kinds.isEmpty()) {
                    AcpiReader.read(text.bytes, new Source(text.path, Rank.TABLE), host);
                } else {
                    TextSections.of(text.bytes, text.path, logs).read(text.path, host);
                }
            }
        }
        leftOut.forEach(problem -> host.warn("not read: " + problem));
        if (sayUnknown && !unknown.isEmpty()) {
            host.warn("not read: of no known kind: " + shown(unknown, ", "));
        }
    }
}
