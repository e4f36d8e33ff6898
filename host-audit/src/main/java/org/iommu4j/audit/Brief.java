// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.stream.Collectors;
import org.iommu4j.ReservedRegion;
import org.iommu4j.host.Printable;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.UnitDescription;

/**
 * An audit in at most {@value #LINES} lines of at most {@value #WIDTH} columns, fit for a forum: one prerequisite of
 * device assignment each, with what to do in brackets. What to do is in a line of its own where it does not fit; only a
 * command may be longer. It has no name of the host, no file and no serial number.
 */
public final class Brief {
    /** The most lines that it has. */
    public static final int LINES = 15;

    /** The most columns of a line. */
    public static final int WIDTH = 80;

    /** Devices with lines of their own, at most. */
    private static final int DEVICES = 2;

    private static final int TITLE = 40;
    private static final String INDENT = "      ";
    /** Kinds of devices that are named of one group. */
    private static final int KINDS = 3;

    private static final String OVERRIDDEN = "pcie_acs_override: for trusted guests only";

    /** How a prerequisite is met. */
    private enum Result {
        PASS,
        WARN,
        FAIL
    }

    private final Audit audit;
    private final Passthrough passthrough;
    private final List<String> lines = new ArrayList<>();

    private Brief(Audit audit) {
        this.audit = audit;
        this.passthrough = new Passthrough(audit);
    }

    /** Returns the lines. */
    public static List<String> of(Audit audit) {
        Objects.requireNonNull(audit, "audit");
        List<String> lines = new Brief(audit).lines(DEVICES);
        return lines.size() > LINES ? new Brief(audit).lines(1) : lines;
    }

    private List<String> lines(int most) {
        add("", "iommu4j audit, " + Headline.release(audit), "");
        if (OtherHypervisor.has(audit)) {
            add(Result.WARN, Objects.requireNonNull(audit.noRule()), "xl pci-assignable-list");
            coherency();
            return List.copyOf(lines);
        }
        iommu();
        interrupts();
        List<AuditedDevice> subjects = subjects();
        subjects.stream().limit(most).forEach(this::device);
        if (subjects.isEmpty() && Headline.doubt(audit).isPresent()) {
            add(Result.WARN, "groups: isolation not real", OVERRIDDEN);
        }
        if (subjects.size() > most) {
            int more = subjects.size() - most;
            add(
                    INDENT,
                    more + (more == 1 ? " more device" : " more devices") + " to assign",
                    "iommu4j audit --brief --assign BDF");
        }
        coherency();
        return List.copyOf(lines);
    }

    private void add(Result result, String text, String remedy) {
        add(result + "  ", text, remedy);
    }

    private void add(String start, String text, String remedy) {
        Prose.wrap(start, text, remedy.isEmpty() ? "" : "[" + remedy + "]", WIDTH)
                .lines()
                .forEach(lines::add);
    }

    /** Returns the devices of the virtual machine, else those that people assign: those of VFIO, graphics first. */
    private List<AuditedDevice> subjects() {
        Assignment asked = audit.assignment();
        if (asked != null) {
            return asked.devices().stream()
                    .flatMap(address -> audit.device(address).stream())
                    .toList();
        }
        return audit.devices().stream()
                .filter(device ->
                        !device.isPartOfHost() && DeviceKind.of(device).isPresent())
                .sorted(Comparator.comparing((AuditedDevice device) -> !isOfVfio(device))
                        .thenComparing(device -> DeviceKind.of(device).orElseThrow()))
                .toList();
    }

    private static boolean isOfVfio(AuditedDevice device) {
        String driver = device.driver();
        return driver != null && Viability.isOfVfio(driver);
    }

    private void iommu() {
        List<String> ids =
                audit.units().stream().map(unit -> unit.description().id()).toList();
        String units = ids.isEmpty() ? "" : ": " + UnitDescription.range(ids);
        switch (audit.iommuInUse()) {
            case YES -> add(Result.PASS, "IOMMU on" + units, "");
            case NO ->
                add(
                        Result.FAIL,
                        "IOMMU off",
                        audit.hints().stream()
                                .map(hint -> hint.text().split(": ", 2)[0])
                                .findFirst()
                                .orElse("turn VT-d or AMD-Vi on in the firmware's setup"));
            case UNKNOWN ->
                add(Result.WARN, "IOMMU: unknown whether it is on" + units, "sudo dmesg | grep -e DMAR -e AMD-Vi");
        }
    }

    private void interrupts() {
        switch (audit.interruptRemapping()) {
            case YES -> add(Result.PASS, "interrupt remapping on", "");
            case NO ->
                add(
                        Result.FAIL,
                        "interrupt remapping off",
                        audit.iommuInUse() == Answer.NO
                                ? "comes with the IOMMU"
                                : "firmware's setup, x2APIC; vfio_iommu_type1.allow_unsafe_interrupts=1"
                                        + " for trusted guests only");
            case UNKNOWN ->
                add(Result.WARN, "interrupt remapping: unknown", Question.INTERRUPTS.command(Headline.HOST_BRIDGE));
        }
    }

    private void device(AuditedDevice device) {
        group(device);
        memory(device);
        reset(device);
        driver(device);
    }

    private static String name(AuditedDevice device) {
        return Passthrough.brief(device.address());
    }

    private void group(AuditedDevice device) {
        String title = device.shortTitle();
        String start = name(device) + " "
                + (title.length() > TITLE ? Printable.cut(device.kind(), TITLE) : Printable.line(title)) + ": ";
        if (device.group().isEmpty()) {
            add(
                    Result.WARN,
                    start + "group unknown",
                    audit.iommuInUse() == Answer.NO
                            ? "turn the IOMMU on first"
                            : "lspci -v -s " + name(device) + " | grep -i 'iommu group'");
            return;
        }
        List<AuditedDevice> strangers = passthrough.strangers(device);
        String group = start + "group " + device.group().getAsInt();
        if (passthrough.isOverridden(device)) {
            add(Result.WARN, group + ", isolation not real", OVERRIDDEN);
        } else if (strangers.isEmpty()) {
            int own = passthrough.others(device).size();
            add(Result.PASS, group + (own == 0 ? ", alone" : ", with its own functions only"), "");
        } else if (passthrough.ofUnknownClass(device).size() == strangers.size()) {
            add(
                    Result.WARN,
                    group + ", with " + strangers.size() + " of unknown class, which stay if they are bridges",
                    "lspci -nn");
        } else {
            List<String> kinds =
                    strangers.stream().map(AuditedDevice::kind).distinct().toList();
            add(
                    Result.WARN,
                    group + ", with " + strangers.size() + (strangers.size() == 1 ? " other (" : " others (")
                            + kinds.stream().limit(KINDS).collect(Collectors.joining(", "))
                            + (kinds.size() > KINDS ? ", .." : "") + ")",
                    "another slot, or ACS in firmware");
        }
    }

    /** Memory that firmware reserves and Linux keeps mapped one to one stands against assignment. */
    private void memory(AuditedDevice device) {
        List<ReservedRegion> regions = device.reservedRegions();
        if (audit.iommuInUse() == Answer.NO) {
            return; // nothing refuses it for that before the IOMMU is on
        }
        if (device.obstacles().stream().anyMatch(Viability::isOfReservedMemory)) {
            add(
                    Result.FAIL,
                    name(device) + ": firmware reserves memory for it or its group",
                    "firmware's setup: shared memory (RMRR) of the slot on HPE servers; or a kernel with relax_rmrr");
        } else if (device.assignableWithGroup() == Answer.YES
                || (regions != null
                        && passthrough.others(device).isEmpty()
                        && regions.stream().noneMatch(region -> region.type() == ReservedRegion.Type.DIRECT))) {
            add(Result.PASS, name(device) + ": no memory reserved by firmware", "");
        } else {
            add(
                    Result.WARN,
                    name(device) + ": memory reserved by firmware is unknown",
                    Question.REGIONS.command(device.address()));
        }
    }

    private void reset(AuditedDevice device) {
        switch (device.reset().possible()) {
            case YES ->
                add(Result.PASS, name(device) + ": reset " + device.reset().words(), "");
            case NO -> add(Result.WARN, name(device) + ": no way to reset it", "reboot the host between guests");
            case UNKNOWN ->
                add(
                        Result.WARN,
                        name(device)
                                + (device.reset().equals(Reset.UNKNOWN)
                                        ? " reset unknown"
                                        : " can't reset itself, other resets unknown"),
                        Question.RESET.command(device.address()));
        }
    }

    private void driver(AuditedDevice device) {
        List<AuditedDevice> bound = passthrough.others(device).stream()
                .filter(Passthrough::isHeldByHost)
                .toList();
        List<AuditedDevice> card = passthrough.card(device);
        if (!bound.isEmpty()) {
            AuditedDevice first = bound.get(0);
            add(
                    Result.FAIL,
                    (Passthrough.isHeldByHost(device) ? name(device) + " has driver " + device.driver() + ", " : "")
                            + name(first) + " of its group has driver " + first.driver()
                            + (bound.size() > 1 ? ", and " + (bound.size() - 1) + " more" : ""),
                    card.containsAll(bound) ? passthrough.binding(device) : "unbind, or assign it too");
        } else if (Passthrough.isHeldByHost(device)) {
            add(Result.WARN, name(device) + " has driver " + device.driver(), passthrough.binding(device));
        } else if (device.driver() == null) {
            add(Result.WARN, name(device) + ": driver unknown", "lspci -nnk -s " + name(device));
        } else {
            add(Result.PASS, name(device) + ": no driver in the way", "");
        }
    }

    /** Returns the devices that make guests not coherent, where they do not all. */
    private String because() {
        List<PciAddress> bad = audit.assignment() == null
                ? Headline.addresses(audit, Guest.NONCOHERENT)
                : audit.assignment().noncoherent();
        return bad.isEmpty()
                ? ""
                : " with " + bad.stream().limit(2).map(Passthrough::brief).collect(Collectors.joining(", "))
                        + (bad.size() > 2 ? " and " + (bad.size() - 2) + " more" : "");
    }

    private void coherency() {
        if (!audit.falsePromises().isEmpty()) {
            add(Result.WARN, "coherent for KVM, but the driver does not keep its promise", "see falsePromises of JSON");
            return;
        }
        if (audit.assignment() == null
                && audit.candidates().isEmpty()
                && !audit.judged().isEmpty()
                && audit.iommuInUse() != Answer.NO
                && !OtherHypervisor.has(audit)) {
            add(Result.FAIL, "VFIO refuses every device; " + Headline.wouldBe(audit), "audit --assign BDF says why");
            return;
        }
        switch (audit.overall()) {
            case COHERENT -> add(Result.PASS, "guests are coherent: no-snoop is blocked", "");
            case NONCOHERENT ->
                add(
                        Result.WARN,
                        "guests are not coherent" + because(),
                        "they work, but slower: WBINVD flushes the host's caches");
            case UNKNOWN ->
                add(
                        Result.WARN,
                        "coherent: "
                                + (UnitAnswers.differ(audit.units())
                                        ? UnitAnswers.guests(audit.units()) + "; the device's unit is unknown"
                                        : "unknown"),
                        audit.iommuInUse() == Answer.NO
                                ? "turn the IOMMU on first"
                                : Headline.settling(audit).orElse("sudo dmesg | grep -e DMAR -e AMD-Vi -e iommu"));
        }
    }
}
