// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.audit;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.iommu4j.LinuxRelease;
import org.iommu4j.audit.Answers;
import org.iommu4j.audit.Assignment;
import org.iommu4j.audit.Audit;
import org.iommu4j.audit.AuditedDevice;
import org.iommu4j.audit.AuditedGroup;
import org.iommu4j.audit.Auditor;
import org.iommu4j.audit.Guest;
import org.iommu4j.audit.Headline;
import org.iommu4j.audit.Hosts;
import org.iommu4j.audit.MadeUpVendor;
import org.iommu4j.audit.Markup;
import org.iommu4j.audit.Regions;
import org.iommu4j.host.HostInputs;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.CoherencyRule;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.spi.KernelParameter;
import org.iommu4j.workbench.audit.AuditHtml;
import org.iommu4j.workbench.audit.AuditJson;
import org.iommu4j.workbench.audit.AuditText;
import org.iommu4j.workbench.audit.FleetReport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine.Help;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Hosts by lot, judged a second time by a few lines of this test: text, JSON, HTML, a fleet's row and the check of a
 * script have that verdict, all of them.
 */
class SameVerdictEverywhereTest {
    private static final int HOSTS = 150;
    private static final List<String> RELEASES = List.of("5.18", "6.1", "6.2", "6.6", "7.1");
    private static final List<String> DRIVERS = List.of("vfio-pci", "pci-stub", "e1000e", "");

    @TempDir
    private Path folder;

    /** Whether its unit blocks no-snoop, and what of the rest stands against a guest that gets it. */
    private enum Kind {
        GOOD(Answer.YES),
        BAD(Answer.NO),
        OPEN(Answer.UNKNOWN),
        /** Firmware demands memory of it mapped one to one. */
        KEPT(Answer.NO),
        /** No unit translates for it. */
        NONE(Answer.UNKNOWN);

        private final Answer enforces;

        Kind(Answer enforces) {
            this.enforces = enforces;
        }
    }

    private record Function(String address, Kind kind, int group, String driver) {}

    private record Lot(
            List<Function> functions,
            String release,
            boolean inUse,
            Answer remapped,
            boolean lies,
            List<String> assigned) {
        static Lot draw(Random random) {
            List<Function> functions = new ArrayList<>();
            for (int i = 0; i < 1 + random.nextInt(4); i++) {
                functions.add(new Function(
                        String.format("0000:00:%02x.0", 3 + i),
                        any(random, List.of(Kind.values())),
                        1 + random.nextInt(3),
                        any(random, DRIVERS)));
            }
            List<String> assigned = functions.stream()
                    .filter(unused -> random.nextInt(3) == 0)
                    .map(Function::address)
                    .toList();
            return new Lot(
                    functions,
                    any(random, RELEASES),
                    random.nextInt(6) != 0,
                    random.nextInt(8) < 6 ? Answer.YES : any(random, List.of(Answer.values())),
                    random.nextInt(5) == 0,
                    assigned);
        }

        private static <T> T any(Random random, List<T> of) {
            return of.get(random.nextInt(of.size()));
        }

        boolean isAtLeast(String other) {
            return LinuxRelease.named(release).compareTo(LinuxRelease.named(other)) >= 0;
        }

        /** Whether VFIO takes a function beside others, of which no driver counts. */
        Answer takes(Function function, List<String> together) {
            if (!inUse || function.kind == Kind.NONE) {
                return Answer.NO;
            }
            List<Function> sisters = functions.stream()
                    .filter(other -> other.group == function.group)
                    .toList();
            boolean kept = isAtLeast("6.6") && sisters.stream().anyMatch(sister -> sister.kind == Kind.KEPT);
            List<Function> others = sisters.stream()
                    .filter(sister -> !sister.equals(function) && !together.contains(sister.address))
                    .toList();
            if (kept || remapped == Answer.NO || others.stream().anyMatch(sister -> sister.driver.equals("e1000e"))) {
                return Answer.NO;
            }
            return remapped == Answer.UNKNOWN || others.stream().anyMatch(sister -> sister.driver.isEmpty())
                    ? Answer.UNKNOWN
                    : Answer.YES;
        }

        /** The functions that a verdict about the whole host is about. */
        List<Function> candidates() {
            List<String> all = functions.stream().map(Function::address).toList();
            return functions.stream()
                    .filter(function -> takes(function, all) != Answer.NO)
                    .toList();
        }

        /** The functions whose enforcement KVM counts, or with {@code container} the domains'. */
        List<Function> counted(boolean container) {
            List<Integer> groups = functions.stream()
                    .filter(function -> assigned.contains(function.address))
                    .map(Function::group)
                    .toList();
            return functions.stream()
                    .filter(function -> assigned.contains(function.address)
                            || (groups.contains(function.group)
                                    && function.kind != Kind.NONE
                                    && (container || !isAtLeast("6.2") || function.driver.equals("vfio-pci"))))
                    .toList();
        }

        Guest overall() {
            List<Function> asked = assigned.isEmpty() ? candidates() : counted(false);
            return asked.isEmpty() ? Guest.UNKNOWN : Guest.of(all(asked));
        }

        static Answer all(List<Function> functions) {
            List<Answer> answers =
                    functions.stream().map(function -> function.kind.enforces).toList();
            return answers.contains(Answer.NO)
                    ? Answer.NO
                    : answers.contains(Answer.UNKNOWN) ? Answer.UNKNOWN : Answer.YES;
        }

        /** What a script's check lets pass. */
        boolean passes() {
            return overall() == Guest.COHERENT && !lies && (assigned.isEmpty() || all(counted(true)) == Answer.YES);
        }

        MadeUpVendor vendor() {
            MadeUpVendor vendor = new MadeUpVendor("v")
                    .rule(CoherencyRule.PER_DOMAIN)
                    .unit("v0", Answer.YES, Answer.YES)
                    .parameter("v_iommu", "lie", KernelParameter.Effect.FALSE_PROMISE);
            for (Function function : functions) {
                switch (function.kind) {
                    case NONE -> vendor.hasNot(function.address);
                    case KEPT -> vendor.has(function.address, "v0", Answer.NO, Regions.DIRECT);
                    default -> vendor.has(function.address, "v0", function.kind.enforces);
                }
            }
            return vendor;
        }

        void write(Path host) throws IOException {
            StringBuilder listing = new StringBuilder();
            for (Function function : functions) {
                listing.append(Hosts.function(
                                function.address.substring(5) + " Ethernet controller [0200]: Maker Card [1234:0003]"))
                        .append(inUse ? Hosts.in(function.group, function.driver) : "")
                        .append('\n');
            }
            Files.writeString(host.resolve("lspci.txt"), listing);
            Files.writeString(
                    host.resolve("dmesg.txt"),
                    "Linux version 6.1.0-9-amd64 (x@y) #1\nKernel command line: quiet" + (lies ? " v_iommu=lie" : "")
                            + "\n"
                            + switch (remapped) {
                                case YES -> "DMAR-IR: Enabled IRQ remapping in x2apic mode\n";
                                case NO ->
                                    "DMAR-IR: Failed to enable irq remapping. You are vulnerable to irq-injection"
                                            + " attacks.\n";
                                case UNKNOWN -> "";
                            }
                            + (inUse ? "" : "Run /init as init process\n"));
        }
    }

    @Test
    void everyReportAndEveryCheckHasTheVerdictThatFollowsFromTheDevices() throws IOException {
        long seed = Long.getLong("iommu4j.seed", 20_261_129L);
        Random random = new Random(seed);
        IommuVendors installed = IommuVendors.load();
        Supplier<HostInputs> reader = () -> new HostInputs(installed);
        for (int i = 0; i < HOSTS; i++) {
            Lot lot = Lot.draw(random);
            String where = "host " + i + " of -Diommu4j.seed=" + seed + ": " + lot;
            Path fleet = Files.createDirectory(folder.resolve("fleet" + i));
            Path host = Files.createDirectory(fleet.resolve("host"));
            lot.write(host);
            Auditor auditor = new Auditor(IommuVendors.of(List.of(lot.vendor())));
            HostInputs inputs = reader.get();
            inputs.path(host.resolve("lspci.txt")).path(host.resolve("dmesg.txt"));
            Optional<LinuxRelease> release = Optional.of(LinuxRelease.named(lot.release));
            Audit audit = auditor.audit(
                    inputs.read(),
                    release,
                    lot.assigned.stream().map(PciAddress::parse).toList());

            assertThat(audit.overall()).as(where).isEqualTo(lot.overall());
            assertThat(audit.reliablyCoherent()).as(where).isEqualTo(lot.passes());
            assertDevices(lot, audit, where);
            assertVerdict(lot, audit, where);
            assertJson(lot, audit, where);
            assertText(audit, where);
            assertHtml(audit, where);
            if (lot.assigned.isEmpty()) {
                FleetReport report = FleetReport.of(fleet, auditor, reader, release, false);
                assertThat(report.anyNotCoherent()).as(where).isEqualTo(!lot.passes());
                assertFleet(lot, audit, report, where);
            }
        }
    }

    private static void assertDevices(Lot lot, Audit audit, String where) {
        List<String> all = lot.functions.stream().map(Function::address).toList();
        for (Function function : lot.functions) {
            AuditedDevice device = Hosts.device(audit, function.address);
            assertThat(device.assignable()).as(where).isEqualTo(lot.takes(function, List.of()));
            // With all of its group along, whatever drivers are bound.
            assertThat(device.assignableWithGroup()).as(where).isEqualTo(lot.takes(function, all));
            assertThat(device.guest()).as(where).isEqualTo(Guest.of(function.kind.enforces));
        }
        Assignment asked = audit.assignment();
        if (asked != null) {
            assertThat(asked.assignable())
                    .as(where)
                    .isEqualTo(lot.functions.stream()
                            .filter(function -> lot.assigned.contains(function.address))
                            .map(function -> lot.takes(function, lot.assigned))
                            .reduce(Answer.YES, Answers::and));
            assertThat(asked.dmaCcIommu()).as(where).isEqualTo(Lot.all(lot.counted(true)));
        }
    }

    /** The words fit the answer: no good word in a bad verdict, no bad one in a good. */
    private static void assertVerdict(Lot lot, Audit audit, String where) {
        String verdict = Headline.verdict(audit).replace(", although its domain does not block no-snoop", "");
        boolean asked = !lot.assigned.isEmpty() || !lot.candidates().isEmpty();
        switch (audit.overall()) {
            case COHERENT -> assertThat(verdict).as(where).contains(" COHERENT").doesNotContain("NONCOHERENT");
            case NONCOHERENT -> assertThat(verdict).as(where).contains("NONCOHERENT");
            case UNKNOWN -> {
                if (asked) {
                    assertThat(verdict).as(where).contains("UNKNOWN");
                } else {
                    assertThat(verdict)
                            .as(where)
                            .containsAnyOf("VFIO refuses all", "nothing can be assigned", "can block no-snoop");
                }
            }
        }
        assertThat(verdict.contains("does not keep its promise")).as(where).isEqualTo(lot.lies);
        assertThat(Headline.shade(audit) == Guest.COHERENT).as(where).isEqualTo(lot.passes());
    }

    private static void assertJson(Lot lot, Audit audit, String where) {
        JsonNode root = JsonMapper.shared().readTree(AuditJson.of(audit));
        assertThat(root.get("guest").asString())
                .as(where)
                .isEqualTo(lot.overall().name());
        assertThat(root.get("verdict").asString()).as(where).isEqualTo(Headline.verdict(audit));
        assertThat(root.get("falsePromises").size()).as(where).isEqualTo(lot.lies ? 1 : 0);
        assertThat(root.get("devices").size()).isEqualTo(lot.functions.size());
        for (JsonNode node : root.get("devices")) {
            AuditedDevice device = Hosts.device(audit, node.get("address").asString());
            assertAnswer(node.get("assignable"), device.assignable(), where);
            assertAnswer(node.get("enforceCacheCoherency"), device.enforceCacheCoherency(), where);
            assertThat(node.get("guest").asString())
                    .as(where)
                    .isEqualTo(device.guest().name());
            assertThat(node.get("obstacles").size())
                    .as(where)
                    .isEqualTo(device.obstacles().size());
            assertThat(node.get("hints").size())
                    .as(where)
                    .isEqualTo(device.hints().size());
        }
        for (int i = 0; i < audit.groups().size(); i++) {
            AuditedGroup group = audit.groups().get(i);
            JsonNode node = root.get("groups").get(i);
            assertThat(node.get("id").asInt()).isEqualTo(group.id());
            assertAnswer(node.get("viable"), group.viable(), where);
            assertThat(node.get("guest").asString())
                    .as(where)
                    .isEqualTo(group.guest().name());
            assertThat(strings(node.get("noncoherent"))).isEqualTo(Assignment.join(group.noncoherent()));
        }
        JsonNode node = root.get("assignment");
        Assignment asked = audit.assignment();
        assertThat(node.isNull()).as(where).isEqualTo(asked == null);
        if (asked != null) {
            assertAnswer(node.get("assignable"), asked.assignable(), where);
            assertAnswer(node.get("dmaCcIommu"), asked.dmaCcIommu(), where);
            assertThat(node.get("guest").asString())
                    .as(where)
                    .isEqualTo(asked.guest().name());
            assertAnswer(
                    node.get("kvmNoncoherentDma"),
                    switch (asked.guest()) {
                        case COHERENT -> Answer.NO;
                        case NONCOHERENT -> Answer.YES;
                        case UNKNOWN -> Answer.UNKNOWN;
                    },
                    where);
            assertThat(strings(node.get("noncoherent"))).isEqualTo(Assignment.join(asked.noncoherent()));
            JsonNode steps = node.get("paths").get(0).get("steps");
            assertThat(steps.get(steps.size() - 1).get("answer").asString())
                    .as(where)
                    .isEqualTo(asked.guest().name());
        }
    }

    private static String strings(JsonNode array) {
        List<String> texts = new ArrayList<>();
        array.forEach(each -> texts.add(each.asString()));
        return String.join(", ", texts);
    }

    private static void assertAnswer(JsonNode node, Answer answer, String where) {
        if (answer == Answer.UNKNOWN) {
            assertThat(node.isNull()).as(where).isTrue();
        } else {
            assertThat(node.isBoolean()).as(where).isTrue();
            assertThat(node.asBoolean()).as(where).isEqualTo(answer == Answer.YES);
        }
    }

    private static void assertText(Audit audit, String where) {
        String text = new AuditText(Help.defaultColorScheme(Help.Ansi.OFF), false, 100).of(audit);
        String flat = text.replaceAll("\\s+", " ");
        assertThat(flat).as(where).startsWith(Headline.subject(audit) + ": " + Headline.verdict(audit));
        for (AuditedDevice device : audit.devices()) {
            String row = text.lines()
                    .filter(line ->
                            line.startsWith("  " + device.address().toString().substring(5) + " "))
                    .collect(Collectors.joining());
            // A column of nothing but dashes is left out.
            if (!device.guestInWords().equals("-")) {
                assertThat(row.split(" +", -1)).as(where).contains(device.guestInWords());
            }
        }
        boolean costs = Headline.lines(audit).stream()
                .anyMatch(line -> line.label().equals("cost") && line.text().endsWith(audit.cost()));
        boolean noncoherent = audit.assignment() == null
                ? !Headline.addresses(audit, Guest.NONCOHERENT).isEmpty()
                : audit.overall() == Guest.NONCOHERENT;
        assertThat(costs).as(where).isEqualTo(noncoherent);
        audit.falsePromises()
                .forEach(promise -> assertThat(flat).as(where).contains("false promise " + promise.text()));
    }

    private static void assertHtml(Audit audit, String where) {
        String html = AuditHtml.of(audit);
        assertThat(html)
                .as(where)
                .contains("<p class=\"verdict " + Headline.shade(audit) + "\">" + Markup.escape(Headline.verdict(audit))
                        + "</p>");
        for (AuditedDevice device : audit.devices()) {
            String row = html.lines()
                    .filter(line -> line.startsWith("<tr><td class=\"a\">" + device.address() + "<"))
                    .findFirst()
                    .orElseThrow();
            assertThat(row)
                    .as(where)
                    .contains(">" + device.guestInWords() + "</td><td>" + Answers.word(device.assignable()) + "</td>");
        }
    }

    private static void assertFleet(Lot lot, Audit audit, FleetReport report, String where) {
        List<Function> judged = lot.candidates().isEmpty()
                ? lot.functions.stream()
                        .filter(function -> function.kind != Kind.NONE)
                        .toList()
                : lot.candidates();
        JsonNode row = JsonMapper.shared().readTree(report.jsonLines());
        assertThat(row.get("guest").asString())
                .as(where)
                .isEqualTo(lot.overall().name());
        assertThat(row.get("verdict").asString()).as(where).isEqualTo(Headline.verdict(audit));
        assertThat(row.get("falsePromises").size()).as(where).isEqualTo(lot.lies ? 1 : 0);
        assertThat(strings(row.get("noncoherent")))
                .as(where)
                .isEqualTo(judged.stream()
                        .filter(function -> function.kind.enforces == Answer.NO)
                        .map(Function::address)
                        .collect(Collectors.joining(", ")));
        String[] cells = report.csv().lines().skip(1).findFirst().orElseThrow().split(",", 10);
        assertThat(List.of(cells).subList(1, 9))
                .as(where)
                .containsExactly(
                        lot.release,
                        lot.overall().name(),
                        "1",
                        "0",
                        Integer.toString(lot.functions.size()),
                        count(judged, Answer.NO),
                        count(judged, Answer.UNKNOWN),
                        lot.lies ? "1" : "0");
        assertThat(cells[9].replace("\"", "")).as(where).isEqualTo(Headline.verdict(audit));
    }

    private static String count(List<Function> functions, Answer enforces) {
        return Long.toString(functions.stream()
                .filter(function -> function.kind.enforces == enforces)
                .count());
    }
}
