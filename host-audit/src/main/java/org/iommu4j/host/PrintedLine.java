// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.util.regex.Pattern;

/** The kinds of lines that tools and kernels print, told apart by their words alone, whatever their indent. */
enum PrintedLine {
    /** Nothing but blanks. */
    EMPTY,
    /** The heading of an IOMMU group. */
    HEADING,
    /** The line with which lspci begins a function. */
    TITLE,
    /** A line of lspci about a function. */
    DETAIL,
    /** A line of configuration space in hex. */
    HEX,
    /** A line of a kernel's log with a time stamp. */
    STAMPED,
    /** It has a function's address, or begins as lines of the kernel, of tables, of shells and of markup do. */
    OTHER_BEGINNING,
    /** Any other: other text, or the rest of the line before. */
    TEXT;

    /** Seconds since boot or since the line before; a date, as {@code dmesg -T}, a syslog and a journal have it. */
    private static final Pattern STAMP = Pattern.compile("(?:<\\d{1,3}>)?\\[ {0,12}\\+?\\d{1,7}\\.\\d{1,9}\\]"
            + "|\\[[A-Z][a-z]{2}[ A-Za-z\\d]{1,12} \\d\\d:\\d\\d[ :\\d]{0,12}\\]"
            + "|[A-Z][a-z]{2} [ \\d]\\d \\d\\d:\\d\\d:\\d\\d |\\[?\\d{4}-\\d\\d-\\d\\d[T ]\\d\\d:\\d\\d");

    private static final Pattern HEX_LINE = Pattern.compile("[0-9a-f]{2,3}:(?: [0-9a-f]{2}){16}\\s*");

    private static final Pattern DETAIL_LINE = Pattern.compile("(?:Subsystem|DeviceName|Physical Slot|Control|Status"
            + "|Latency|Flags|Interrupt|NUMA node|IOMMU group|Region \\d|BIST|Bus|Secondary status|BridgeCtl"
            + "|(?:I/O|Memory|Prefetchable memory) behind bridge|Capabilities|Kernel driver in use|Kernel modules"
            + "|(?:Dev|Lnk|Slt|Root|AER|ACS|ATS|PRI|PASID|IOV|DPC|ARI|L1Sub|PTM)(?:Cap|Ctl|Sta)\\d?"
            + "|[UC]E(?:Sta|Msk|Svrt)|Address|Masking|Vector table|PBA|Changed|HeaderLog|Initial VFs"
            + "|VF offset|VF Migration):(?: .*|\\t.*|)"
            + "|(?:RlxdOrd|MaxPayload|ExtTag|ClockPM|TrErr|SrcValid|CorrErr)\\S? .*"
            + "|(?:Expansion ROM|Memory|I/O ports) at .*");

    private static final Pattern BEGINNING = Pattern.compile("[^\\w\\s(\\[/\"'.-]|\\[[0-9A-Fa-f]{3,4}h |/sys/"
            + "|[0-9A-Fa-f]{2,16}: ?(?:0x)?[0-9A-Fa-f]{2}|[A-Za-z][\\w(). /-]{1,40}:[ \\t]|Linux version |BOOT_IMAGE="
            + "|[\\w-]{1,32} [0-9a-f:.]{7,12}: ");

    /** Returns what a line is. Most lines are none of these, and each pattern is asked only where it may match. */
    static PrintedLine of(String line) {
        String words = line.strip();
        if (words.isEmpty()) {
            return EMPTY;
        }
        char first = words.charAt(0);
        if ((first == '[' || first == '<' || Character.isLetterOrDigit(first))
                && STAMP.matcher(words).lookingAt()) {
            return STAMPED;
        }
        if (GroupListingReader.heads(line)) {
            return HEADING;
        }
        int colon = words.indexOf(':');
        if (Character.digit(first, 16) >= 0) {
            if (colon >= 2 && colon <= 4 && LspciReader.recognises(words)) {
                return TITLE;
            }
            if (colon >= 2 && colon <= 3 && HEX_LINE.matcher(words).matches()) {
                return HEX;
            }
        }
        if (Character.isUpperCase(first) && DETAIL_LINE.matcher(words).matches()) {
            return DETAIL;
        }
        boolean maybeBegins = colon >= 0 || !Character.isLetterOrDigit(first);
        return maybeBegins && (BEGINNING.matcher(words).lookingAt() || LspciTitle.hasAddress(words))
                ? OTHER_BEGINNING
                : TEXT;
    }
}
