// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.Objects;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.iommu4j.pci.PciAddress;
import org.jspecify.annotations.Nullable;

/**
 * What an audit may not know, and the one command that settles it, ready to paste.
 *
 * <p>Each has the words with which its sentences begin. A sentence that leaves something open is made by {@link #open},
 * and recognised by the same words.
 */
enum Question {
    /** Whether interrupts are remapped. */
    INTERRUPTS("it is unknown whether Linux remaps interrupts", "sudo dmesg | grep -i remapping"),
    /** Whether a unit has a function. */
    TRANSLATED("it is unknown whether an IOMMU translates for it", "readlink /sys/bus/pci/devices/%s/iommu"),
    /** The group of a function. */
    GROUP("its group is unknown", "readlink /sys/bus/pci/devices/%s/iommu_group"),
    /** The groups of a host. */
    GROUPS("groups are unknown", "find /sys/kernel/iommu_groups -type l"),
    /** The driver of a function. */
    DRIVER("the driver of ", "lspci -nnk -s %s"),
    /** The reserved regions of a function. */
    REGIONS("the reserved regions of ", "cat /sys/bus/pci/devices/%s/iommu_group/reserved_regions"),
    /** The registers of units. */
    REGISTERS("registers of ", "sudo dmesg | grep -e DMAR -e AMD-Vi"),
    /** The units of a host. */
    UNITS("the input has no firmware table and no unit", "sudo dmesg | grep -e DMAR -e AMD-Vi -e iommu"),
    /** The answer of the hypervisor that has the IOMMU. */
    HYPERVISOR("Xen has the IOMMU", "sudo xl dmesg | grep -i snoop"),
    /** The units of functions. */
    UNITS_OF_DEVICES("it is unknown for ", "ls -d /sys/class/iommu/*/devices/*"),
    /** The functions of a host. */
    FUNCTIONS("the input has no PCI function", "sudo lspci -nnvv"),
    /** Whether functions may send no-snoop. */
    NO_SNOOP("Enable No Snoop is unknown", "sudo lspci -vv -s %s | grep NoSnoop"),
    /** Whether an IOMMU is used. */
    IN_USE("it is unknown whether Linux uses the IOMMU", "ls /sys/class/iommu"),
    /** The release. */
    RELEASE("the host's kernel release is unknown", "uname -r"),
    /** How a function can be reset. */
    RESET("how it can be reset is unknown", "cat /sys/bus/pci/devices/%s/reset_method"),
    /** The vendor and device id of a function. */
    IDS("its ids are unknown", "lspci -nn -s %s");

    private static final Pattern ADDRESS = Pattern.compile("[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\\.[0-7]");

    private final String words;
    private final String command;

    Question(String words, String command) {
        this.words = words;
        this.command = command;
    }

    /** Returns the sentence that leaves this open: its words, and what follows them. */
    String open(String rest) {
        return words + rest;
    }

    /** Returns the command for a function; the first address in a sentence, where it names one, is of the function. */
    String command(PciAddress device) {
        return String.format(command, device);
    }

    /** Returns the command after a sentence that leaves this open. */
    String after(String sentence, PciAddress device) {
        return sentence + Headline.SETTLE + command(device);
    }

    /**
     * Returns a sentence with the command that settles it, or as it is where it leaves nothing open.
     *
     * @param asked the function that it is about where it names none; null where it is about none
     */
    static String settled(String sentence, @Nullable PciAddress asked) {
        return settling(sentence, asked)
                .map(command -> sentence + Headline.SETTLE + command)
                .orElse(sentence);
    }

    /**
     * Returns the command that settles a sentence, empty where it leaves nothing open.
     *
     * @param asked the function that it is about where it names none; null where it is about none
     */
    static Optional<String> settling(String sentence, @Nullable PciAddress asked) {
        Objects.requireNonNull(sentence, "sentence");
        Optional<Question> open = Stream.of(values())
                .filter(each -> sentence.startsWith(each.words))
                .findFirst();
        Matcher named = ADDRESS.matcher(sentence);
        PciAddress device = named.find() ? PciAddress.parse(named.group()) : asked;
        if (open.isEmpty() || (device == null && open.get().command.contains("%s"))) {
            return Optional.empty();
        }
        return Optional.of(String.format(open.get().command, device));
    }
}
