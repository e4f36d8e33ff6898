// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.spi.KernelLog;
import org.jspecify.annotations.Nullable;

/**
 * Reads a kernel log: {@code dmesg} with any time stamps or none, a journal, or the syslog of a boot.
 *
 * <p>Where a log holds several boots, the last is read. A feature is taken as off only from a log with the whole boot:
 * from its first line to the end of the drivers' start. The vendors read the lines of their own drivers
 * ({@link KernelLog}). Most lines state nothing here, and a {@link WordFilter} finds that fast. Lines of programs are
 * not the kernel's and are ignored, except that the first program shows that the drivers have started.
 *
 * <p>Source: {@code drivers/iommu/iommu.c}, {@code drivers/pci/probe.c}, {@code init/main.c}, 2.6.39 to 7.1.
 * Thread-safe.
 */
final class KernelLogReader {
    private static final Pattern VERSION = Pattern.compile("Linux version (\\S{1,128}) \\(");
    /** What a warning or an oops states of the kernel, {@code dump_stack_print_info}. */
    private static final Pattern TAINT =
            Pattern.compile("(?:Not tainted|Tainted: [A-Z][A-Z ]{0,60}) " + KernelNames.RELEASE + " #\\d");

    /** The stable kernel that Debian and Ubuntu built theirs from, behind the release's name and the compiler. */
    private static final Pattern LEVEL =
            Pattern.compile("(?: Debian |\\(Ubuntu \\S{1,64} )(\\d{1,3}\\.\\d{1,3}\\.\\d{1,6})(?=[-)])");

    private static final Pattern COMMAND_LINE = Pattern.compile("(Kernel c|\\bC)ommand line: (.*)$");

    /** An address begins where no longer number does; each try on other text ends behind a few digits. */
    private static final String ADDRESS = "(?<![0-9a-f:])(" + LspciTitle.DOMAIN + "[0-9a-f]{2}:[01][0-9a-f]\\.[0-7])";

    private static final Pattern JOINS = Pattern.compile("(?:iommu: Adding device " + ADDRESS + " to group (\\d{1,6})|"
            + ADDRESS + ": Adding to iommu group (\\d{1,6}))\\s*$");
    /** Of devices that are not on PCI; before their name is their bus, or nothing. */
    private static final Pattern NAMED_JOINS =
            Pattern.compile("(?:iommu: Adding device (\\S{1,128}) to group (\\d{1,6})|"
                    + "(?:^|[\\s\\]])(\\S{1,128}): Adding to iommu group (\\d{1,6}))\\s*$");

    private static final Pattern LEAVES = Pattern.compile("(?:iommu: Removing device " + ADDRESS + " from group \\d+|"
            + ADDRESS + ": Removing from iommu group \\d+)\\s*$");

    /** VFIO made a group for a function that no IOMMU translates for. */
    private static final Pattern WITHOUT_IOMMU =
            Pattern.compile(ADDRESS + ": Adding kernel taint for vfio-noiommu group on device");

    /** What comes after all drivers are done: the start of user space. */
    private static final Pattern USER_SPACE =
            Pattern.compile("Freeing unused kernel|Run \\S{0,64}init as init process|systemd\\[1\\]: ");

    /** The first program; no other word of a program's is taken for the kernel's. */
    static final String FIRST_PROGRAM = "systemd[1]: ";

    private static final Pattern FUNCTION = Pattern.compile(
            "pci (\\S{7,16}): \\[([0-9a-f]{4}):([0-9a-f]{4})\\] type ([0-9a-f]{2}) class 0x([0-9a-f]{6})\\b");
    private static final Pattern BRIDGE =
            Pattern.compile("pci (\\S{7,16}): (?:PCI|CardBus) bridge to \\[bus ([0-9a-f]{2})(?:-([0-9a-f]{2}))?\\]");
    private static final Pattern ABOUT_IOMMU = Pattern.compile(
            "(?i:\\biommu\\b|iommu group|snoop control|(?:irq|interrupt)[ -]remapping|\\bvfio\\b)|PCI-DMA"
                    + "|Hypervisor detected: ");

    /** A priority, a time stamp, and the thread or CPU that called, which kernels with {@code PRINTK_CALLER} name. */
    private static final String STAMPS = "(?:<\\d{1,3}>)?(?:\\[[^\\]]{1,40}\\](?: ?\\[ {0,12}[CT]\\d{1,10}\\])? )?";

    /** What stands before a message: a syslog's or journal's host and unit, and the kernel's own stamps. */
    private static final Pattern PREFIX = Pattern.compile("^(?:.{0,120}? kernel(?:\\[\\d+\\])?: )?" + STAMPS);

    /** A program and its process, as loggers print them; the kernel has none. */
    private static final Pattern PROGRAM =
            Pattern.compile("^" + STAMPS + "(?:\\S{0,63}[^\\s:] ){0,5}(?!kernel\\[)[^\\s\\[]{1,64}\\[\\d{1,10}\\]: ");

    /** A line of the list of tables that Linux prints early. */
    private static final Pattern TABLE =
            Pattern.compile("ACPI: (FACP|DMAR|IVRS|IORT|VIOT|RIMT) (?:0x)?[0-9A-Fa-f]{8,16} ");

    private static final Pattern STAMP = Pattern.compile("\\[ {0,6}(\\d{1,8})\\.\\d{6}\\]");
    /** Nothing that a logger puts before a message and its time stamp is longer. */
    private static final int MAX_PREFIX = 256;

    private static final List<String> TABLE_WORDS = List.of("ACPI: ");
    private static final String LINUX = "Linux version ";
    private static final String PARAMETERS = "ommand line: ";
    private static final String TYPE = "] type ";
    private static final String LEADS = "ridge to [bus ";
    private static final List<String> TAINT_WORDS = List.of("Not tainted ", "Tainted: ");
    private static final List<String> GROUP_WORDS = List.of(
            "Adding to iommu group",
            "Adding device ",
            "Removing from iommu group",
            "Removing device ",
            "for vfio-noiommu group");
    private static final List<String> USER_SPACE_WORDS =
            List.of("Freeing unused kernel", "as init process", FIRST_PROGRAM);
    /** Linux passes what it does not know to the first program ({@code print_unknown_bootoptions}, 5.14). */
    private static final String UNKNOWN_PARAMETERS = "ommand line parameters";

    private static final List<String> IOMMU_WORDS = List.of(
            "iommu",
            "IOMMU",
            "Iommu",
            "noop ",
            "NOOP ",
            "emapping",
            "REMAPPING",
            "vfio",
            "VFIO",
            "PCI-DMA",
            "Hypervisor detected",
            UNKNOWN_PARAMETERS);

    private final WordFilter filter;
    private final long versionWord;
    private final long commandLineWord;
    private final long taintWords;
    private final long functionWord;
    private final long bridgeWord;
    private final long groupWords;
    private final long userSpaceWords;
    private final long iommuWords;
    private final long xenWords;
    private final long remarkWords;
    private final long tableWords;
    private final long processorWords;
    private final List<String> names = new ArrayList<>();
    private final List<KernelLog> vendors = new ArrayList<>();
    private final List<String> vendorsWords = new ArrayList<>();
    private final long[] ofVendor;
    private final long ofVendors;

    /** Makes a reader that knows the lines of some vendors' drivers. */
    KernelLogReader(IommuVendors known) {
        List<List<String>> words = new ArrayList<>();
        versionWord = add(words, List.of(LINUX));
        commandLineWord = add(words, List.of(PARAMETERS));
        taintWords = add(words, TAINT_WORDS);
        functionWord = add(words, List.of(TYPE));
        bridgeWord = add(words, List.of(LEADS));
        groupWords = add(words, GROUP_WORDS);
        userSpaceWords = add(words, USER_SPACE_WORDS);
        iommuWords = add(words, IOMMU_WORDS);
        xenWords = add(words, Xen.WORDS);
        remarkWords = add(words, LinuxRemarks.WORDS);
        tableWords = add(words, TABLE_WORDS);
        processorWords = add(words, Processors.WORDS);
        List<Long> masks = new ArrayList<>();
        List<IommuVendor> drivers = new ArrayList<>(known.all());
        drivers.addAll(ForeignUnits.beside(known.all()));
        for (IommuVendor vendor : drivers) {
            KernelLog log = vendor.kernelLog();
            names.add(vendor.name());
            vendors.add(log);
            vendorsWords.addAll(log.words());
            masks.add(add(words, log.words()));
        }
        filter = new WordFilter(words);
        ofVendor = masks.stream().mapToLong(Long::longValue).toArray();
        ofVendors = masks.stream().reduce(0L, (one, other) -> one | other);
    }

    /** Adds a group of words, and returns its bit. */
    private static long add(List<List<String>> words, List<String> more) {
        words.add(more);
        return 1L << (words.size() - 1);
    }

    /** Returns whether a line belongs to a kernel's log and states something about the host. */
    boolean recognises(String line) {
        byte[] bytes = line.getBytes(StandardCharsets.UTF_8);
        return recognises(line, filter.in(bytes, 0, bytes.length));
    }

    private boolean recognises(String line, long found) {
        if ((found & xenWords) != 0 && Xen.isOwn(line)) {
            return true;
        }
        if ((found & versionWord) != 0 && VERSION.matcher(line).find()) {
            return true;
        }
        if ((found & groupWords) != 0
                && (JOINS.matcher(line).find() || NAMED_JOINS.matcher(line).find())) {
            return true;
        }
        if ((found & taintWords) != 0 && TAINT.matcher(line).find()) {
            return true;
        }
        if ((found & remarkWords) != 0) {
            KernelBoot alone = new KernelBoot(null);
            LinuxRemarks.read(line, alone);
            if (alone.hasRemarks()) {
                return true;
            }
        }
        if ((found & ofVendors) == 0) {
            return false;
        }
        String message = message(line);
        for (String word : vendorsWords) {
            // "DMAR: ...", and of drivers of devices "arm-smmu-v3 arm-smmu-v3.0.auto: ..."
            if (line.contains(word + ": ") || (message.startsWith(word + " ") && message.contains(": "))) {
                return true;
            }
        }
        KernelBoot alone = new KernelBoot(null);
        askVendors(line, found, alone);
        return alone.toldOfUnits() || alone.hasRemarks();
    }

    /** Programs write into the kernel's log too, and a logger puts the kernel's name before what it finds there. */
    private static boolean isOfProgram(String line) {
        return PROGRAM.matcher(line).find() || PROGRAM.matcher(message(line)).find();
    }

    private static String message(String line) {
        return PREFIX.matcher(line).replaceFirst("").strip();
    }

    /**
     * Reads a log.
     *
     * @param text in UTF-8, or UTF-16 with a byte order mark; what is neither becomes question marks
     * @return whether it states any fact
     */
    boolean read(byte[] text, Source source, EvidenceBuilder host) {
        KernelBoot boot = new KernelBoot(null);
        boolean any = false;
        TextLines.Cursor lines = new TextLines.Cursor(text);
        while (lines.next()) {
            long found = lines.words(filter);
            if (found != 0) {
                String line = lines.line();
                if ((found & xenWords) != 0 && Xen.shows(line)) {
                    boot.onXen(Xen.blocksNoSnoop(line));
                    any = any || recognises(line, found);
                } else if ((found & remarkWords) != 0 && isOfQemu(line)) {
                    LinuxRemarks.read(line, boot);
                    any = any || boot.hasRemarks();
                } else if (isOfProgram(line)) {
                    if (line.contains(FIRST_PROGRAM)) {
                        boot.done();
                    }
                } else {
                    String release = (found & versionWord) != 0 ? release(line) : null;
                    if (release != null) {
                        boot = boot.next(release);
                        Matcher level = LEVEL.matcher(line);
                        if (level.find()) {
                            boot.level(level.group(1));
                        }
                    } else {
                        line(boot, line, found);
                    }
                    any = any || recognises(line, found);
                }
            }
        }
        if (any) {
            boot.record(source, host);
        }
        return any;
    }

    /** QEMU and libvirt say into their own logs what the kernel told them. */
    private static boolean isOfQemu(String line) {
        return line.contains(LinuxRemarks.NOT_VIABLE)
                || line.contains(LinuxRemarks.NO_GROUP)
                || line.contains(LinuxRemarks.NO_CONTAINER);
    }

    private static @Nullable String release(String line) {
        Matcher version = VERSION.matcher(line);
        return version.find() ? version.group(1) : null;
    }

    private void line(KernelBoot boot, String line, long found) {
        if ((found & commandLineWord) != 0) {
            Matcher commandLine = COMMAND_LINE.matcher(line);
            if (commandLine.find()) {
                // The second form, printed later, has what is built into the kernel as well.
                boot.commandLine(commandLine.group(2).strip());
                return;
            }
        }
        if ((found & iommuWords) != 0 && line.contains(UNKNOWN_PARAMETERS)) {
            if (line.contains(BootParameters.ACS_OVERRIDE)) {
                boot.keep(BootParameters.ACS_OVERRIDE_UNKNOWN);
            }
            return; // the others are of programs, and may be secret
        }
        if ((found & taintWords) != 0) {
            Matcher taint = TAINT.matcher(line);
            if (taint.find()) {
                boot.running(taint.group(1));
            }
        }
        if (((found & groupWords) != 0 && group(boot, line))
                || ((found & functionWord) != 0 && function(boot, line))
                || ((found & bridgeWord) != 0 && bridge(boot, line))) {
            return;
        }
        if (FoldedLines.lacksItsEnd(line)) {
            boot.cut(message(line));
        }
        Matcher stamp = STAMP.matcher(line).region(0, Math.min(line.length(), MAX_PREFIX));
        boot.at(stamp.find() ? stamp.group(1) + " s" : "");
        if ((found & tableWords) != 0) {
            Matcher table = TABLE.matcher(line);
            if (table.find()) {
                boot.table(!table.group(1).equals("FACP"));
            }
        }
        if ((found & processorWords) != 0) {
            Processors.ofLog(line).ifPresent(boot::virtualization);
        }
        if ((found & remarkWords) != 0) {
            LinuxRemarks.read(line, boot);
        }
        if ((found & userSpaceWords) != 0 && USER_SPACE.matcher(line).find()) {
            boot.done();
        }
        if ((found & ofVendors) != 0) {
            askVendors(line, found, boot);
        } else if ((found & iommuWords) == 0 || !ABOUT_IOMMU.matcher(line).find()) {
            return;
        }
        if (boot.keepsMore()) {
            boot.keep(message(line));
        }
    }

    private void askVendors(String line, long found, KernelBoot findings) {
        for (int i = 0; i < ofVendor.length; i++) {
            if ((found & ofVendor[i]) != 0) {
                findings.speaks(names.get(i));
                vendors.get(i).read(line, findings);
            }
        }
    }

    private static boolean group(KernelBoot boot, String line) {
        Matcher joins = JOINS.matcher(line);
        if (joins.find()) {
            boolean old = joins.group(1) != null;
            boot.joins(PciAddress.parse(joins.group(old ? 1 : 3)), Integer.parseInt(joins.group(old ? 2 : 4)));
            return true;
        }
        Matcher named = NAMED_JOINS.matcher(line);
        if (named.find()) {
            boolean old = named.group(1) != null;
            boot.joins(named.group(old ? 1 : 3), Integer.parseInt(named.group(old ? 2 : 4)));
            return true;
        }
        Matcher leaves = LEAVES.matcher(line);
        if (leaves.find()) {
            boot.leaves(PciAddress.parse(leaves.group(1) != null ? leaves.group(1) : leaves.group(2)));
            return true;
        }
        Matcher without = WITHOUT_IOMMU.matcher(line);
        if (without.find()) {
            boot.joinedWithoutIommu(PciAddress.parse(without.group(1)));
            return true;
        }
        return false;
    }

    private static boolean function(KernelBoot boot, String line) {
        Matcher function = FUNCTION.matcher(line);
        if (!function.find()) {
            return false;
        }
        PciAddress address = address(function.group(1));
        if (address != null) {
            boot.function(
                    address,
                    Integer.parseInt(function.group(2), 16),
                    Integer.parseInt(function.group(3), 16),
                    Integer.parseInt(function.group(4), 16),
                    Integer.parseInt(function.group(5), 16));
        }
        return true;
    }

    private static boolean bridge(KernelBoot boot, String line) {
        Matcher bridge = BRIDGE.matcher(line);
        if (!bridge.find()) {
            return false;
        }
        PciAddress address = address(bridge.group(1));
        if (address != null) {
            int first = Integer.parseInt(bridge.group(2), 16);
            boot.bridge(address, first, bridge.group(3) == null ? first : Integer.parseInt(bridge.group(3), 16));
        }
        return true;
    }

    private static @Nullable PciAddress address(String text) {
        return LspciTitle.ADDRESS.matcher(text).matches() ? PciAddress.parse(text) : null;
    }
}
