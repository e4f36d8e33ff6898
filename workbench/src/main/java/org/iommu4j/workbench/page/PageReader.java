// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.page;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.BiConsumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.iommu4j.Errno;
import org.iommu4j.LinuxRelease;
import org.iommu4j.host.InputException;
import org.iommu4j.sim.verdict.Blame;
import org.iommu4j.sim.verdict.Verdict;
import org.iommu4j.workbench.output.FileFailure;
import org.iommu4j.workbench.page.Actor.Kind;
import org.iommu4j.workbench.page.Page.Memory;
import org.iommu4j.workbench.scenario.AssignedBy;
import org.iommu4j.workbench.scenario.GuestIommu;
import org.iommu4j.workbench.scenario.NotApplicable;
import org.jspecify.annotations.Nullable;
import org.snakeyaml.engine.v2.nodes.Node;
import org.snakeyaml.engine.v2.nodes.NodeTuple;
import org.snakeyaml.engine.v2.nodes.SequenceNode;

/**
 * Reads pages.
 *
 * <p>A wrong one is refused with file, line and column, and with the words that are allowed there. The form alone is
 * checked here, as {@code docs/case.schema.json} has it; {@link PageReferenceException} says that a name is of nothing.
 */
public final class PageReader {
    /** The pattern of a case's and of a machine's name. */
    static final String HYPHENED = "[a-z0-9]+(-[a-z0-9]+)*";

    private static final int LONGEST_ABOUT = 110;
    private static final int LAST_CPU = 63;
    private static final int MOST_EVENTS = 15;
    private static final String RELEASE = "v[0-9]{1,3}\\.[0-9]{1,3}(-posted)?|5\\.19-posted";
    private static final Pattern WRONG =
            Pattern.compile("(?:(" + Verb.NAME + ") (?:reads|loads)|memory holds) (" + Verb.VALUE + ")");

    private final String file;
    private final YamlNodes yaml;

    private PageReader(String file) {
        this.file = file;
        yaml = new YamlNodes(file);
    }

    /**
     * Reads a file.
     *
     * @throws InputException when it can't be read, is longer than 1 MiB, or is no page
     */
    public static Page read(Path file) {
        return read(file.toString(), text(file));
    }

    /**
     * Returns a file's text, for {@link #read(String, byte[])}, which refuses what is too long.
     *
     * @throws InputException when it can't be read
     */
    public static byte[] text(Path file) {
        try (InputStream stream = Files.newInputStream(file)) {
            return stream.readNBytes(YamlNodes.MAX_BYTES + 1);
        } catch (NoSuchFileException e) {
            throw new InputException(file + ": no such file, expected a page", e);
        } catch (IOException e) {
            throw new InputException(file + ": can't be read as a page (" + FileFailure.reason(e) + ")", e);
        }
    }

    /**
     * Reads a text.
     *
     * @param file the file's name, for messages
     * @throws InputException when it is no page
     */
    public static Page read(String file, byte[] text) {
        return new PageReader(file).page(text);
    }

    private Page page(byte[] text) {
        Node root = yaml.root(text);
        Map<String, Node> fields = yaml.fields(
                root,
                "a page",
                List.of("case", "about", "actors", "memory"),
                List.of("steps", "expect", "programs", "may", "never", "story", "sources", "fixed-by"));
        boolean explored = fields.containsKey("programs");
        checkKeys(root, fields, explored);
        String name = yaml.text(field(fields, "case"), "the case's name: lower-case words joined by hyphens", HYPHENED);
        Node about = field(fields, "about");
        if (characters(yaml.text(about, "what the case is about")) > LONGEST_ABOUT) {
            throw yaml.refused(about, "more than " + LONGEST_ABOUT + " characters, expected one line");
        }
        References references = new References(yaml);
        actors(field(fields, "actors"), references);
        memory(field(fields, "memory"), references);
        List<Step> steps = new ArrayList<>();
        List<Expectation> expectations = new ArrayList<>();
        if (!explored) {
            for (Node step : some(field(fields, "steps"), "steps")) {
                steps.add(step(step, references));
            }
            for (Node each : some(field(fields, "expect"), "expectations")) {
                expectations.add(expectation(each, references));
            }
        }
        Node story = fields.get("story");
        Node sources = fields.get("sources");
        List<String> origins = new ArrayList<>();
        if (sources != null) {
            for (Node source : yaml.list(sources, "sources")) {
                origins.add(yaml.text(source, "a source"));
            }
        }
        Node fixedBy = fields.get("fixed-by");
        return new Page(
                file,
                name,
                yaml.text(about, "what the case is about"),
                story == null ? null : yaml.text(story, "the story"),
                origins,
                fixedBy == null ? null : yaml.text(fixedBy, "the change that ended it"),
                references.actors(),
                references.memory(),
                steps,
                expectations,
                explored ? programs(fields, references) : null);
    }

    /** A page has either steps and what is expected of them, or programs and what must not be. */
    private void checkKeys(Node root, Map<String, Node> fields, boolean explored) {
        for (String key : explored ? List.of("never") : List.of("steps", "expect")) {
            if (!fields.containsKey(key)) {
                throw yaml.refused(root, "a page lacks '" + key + "'" + (explored ? ", which programs need" : ""));
            }
        }
        for (String key : explored ? List.of("steps", "expect") : List.of("may", "never")) {
            Node stranger = fields.get(key);
            if (stranger != null) {
                throw yaml.refused(
                        stranger,
                        "'" + key + "' in a page with" + (explored ? "" : "out") + " programs, expected none");
            }
        }
    }

    private static int characters(String text) {
        return text.codePointCount(0, text.length());
    }

    private List<Node> some(Node node, String words) {
        List<Node> list = yaml.list(node, words);
        if (list.isEmpty()) {
            throw yaml.refused(node, "an empty list, expected " + words);
        }
        return list;
    }

    private static Node field(Map<String, Node> fields, String key) {
        Node node = fields.get(key);
        if (node == null) {
            throw new IllegalStateException("a required field " + key + " was not checked");
        }
        return node;
    }

    // Actors and memory.

    private void actors(Node node, References references) {
        Map<String, NodeTuple> entries = yaml.mapping(node, "actors");
        entries.forEach((name, entry) -> {
            yaml.text(entry.getKeyNode(), "a name of lower-case letters, digits and hyphens", Verb.NAME);
            references.declare(name, entry.getKeyNode(), actor(entry.getValueNode()), entry.getValueNode());
        });
        references.checkActors();
    }

    private Actor actor(Node node) {
        Map<String, NodeTuple> keys = yaml.mapping(node, "an actor");
        if (keys.containsKey("device")) {
            Map<String, Node> fields =
                    yaml.fields(node, "a device", List.of("device"), List.of("vm", "in", "driver", "no-snoop"));
            Node noSnoop = fields.get("no-snoop");
            Node driver = fields.get("driver");
            return new Actor.Device(
                    yaml.constant(field(fields, "device"), "a device of the machine", words(Actor.Which.values())),
                    name(fields.get("vm"), "a virtual machine"),
                    name(fields.get("in"), "a domain"),
                    driver == null
                            ? Actor.Driver.VFIO_PCI
                            : yaml.constant(driver, "a driver", words(Actor.Driver.values())),
                    noSnoop != null && yaml.truth(noSnoop, "whether it uses no-snoop"));
        }
        if (keys.containsKey("process")) {
            Map<String, Node> fields = yaml.fields(node, "a process", List.of("process", "cpu"), List.of());
            return new Actor.HostProcess(
                    yaml.text(field(fields, "process"), "the owner of its data", Verb.NAME), cpu(fields));
        }
        if (keys.containsKey("host")) {
            Map<String, Node> fields = yaml.fields(node, "a CPU of the host", List.of("host", "cpu"), List.of());
            alwaysTrue(field(fields, "host"), "host");
            return new Actor.Host(cpu(fields));
        }
        if (keys.containsKey("domain")) {
            alwaysTrue(field(yaml.fields(node, "a domain", List.of("domain"), List.of()), "domain"), "domain");
            return new Actor.Domain();
        }
        if (keys.containsKey("by")) {
            Map<String, Node> fields = yaml.fields(node, "a virtual machine", List.of("by"), List.of("iommu"));
            Node iommu = fields.get("iommu");
            return new Actor.Vm(
                    yaml.constant(field(fields, "by"), "a way to assign", words(AssignedBy.values())),
                    iommu == null
                            ? null
                            : yaml.constant(iommu, "what its own IOMMU offers", words(GuestIommu.values())));
        }
        if (keys.containsKey("vm") || keys.containsKey("cpu")) {
            Map<String, Node> fields = yaml.fields(node, "a vCPU", List.of("vm", "cpu"), List.of());
            return new Actor.Vcpu(yaml.text(field(fields, "vm"), "a virtual machine", Verb.NAME), cpu(fields));
        }
        throw yaml.refused(
                node,
                "no kind of actor, expected the keys of one: {vm, cpu} a vCPU, {device} a device, {by} a virtual"
                        + " machine, {host, cpu} the kernel on a CPU, {process, cpu} a process, {domain} a domain");
    }

    private int cpu(Map<String, Node> fields) {
        return yaml.number(field(fields, "cpu"), "a CPU", LAST_CPU);
    }

    private void alwaysTrue(Node node, String key) {
        if (!yaml.truth(node, key)) {
            throw yaml.refused(node, "'false', expected " + key + ": true");
        }
    }

    private @Nullable String name(@Nullable Node node, String words) {
        return node == null ? null : yaml.text(node, words, Verb.NAME);
    }

    private void memory(Node node, References references) {
        yaml.mapping(node, "memory").forEach((name, entry) -> {
            yaml.text(entry.getKeyNode(), "a name of lower-case letters, digits and hyphens", Verb.NAME);
            Map<String, Node> fields =
                    yaml.fields(entry.getValueNode(), "a page of memory", List.of("of"), List.of("then"));
            references.declareMemory(
                    name,
                    new Memory(
                            yaml.text(field(fields, "of"), "its owner", Verb.NAME),
                            name(fields.get("then"), "a virtual machine")),
                    entry.getValueNode());
        });
    }

    /** Returns constants by their names in pages: lower case, joined by hyphens. */
    private static <E extends Enum<E>> Map<String, E> words(E[] constants) {
        Map<String, E> words = new LinkedHashMap<>();
        for (E constant : constants) {
            words.put(word(constant), constant);
        }
        return words;
    }

    /** Returns a constant by its name in pages. */
    static String word(Enum<?> constant) {
        return constant.name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    /** Returns constants by their names. */
    private static <E extends Enum<E>> Map<String, E> names(E[] constants) {
        Map<String, E> names = new LinkedHashMap<>();
        for (E constant : constants) {
            names.put(constant.name(), constant);
        }
        return names;
    }

    // Steps.

    private Step step(Node node, References references) {
        Map<String, NodeTuple> entries = yaml.mapping(node, "a step");
        if (entries.size() != 1) {
            throw yaml.refused(node, entries.size() + " actors in a step, expected one, as in '- vcpu0: wbinvd'");
        }
        NodeTuple entry = entries.values().iterator().next();
        String name = yaml.text(entry.getKeyNode(), "an actor's name", Verb.NAME);
        Node action = entry.getValueNode();
        return references.followed(step(name, entry.getKeyNode(), action, references), action);
    }

    private Step step(String name, Node nameNode, Node action, References references) {
        String words = yaml.text(action, "what the actor does");
        Kind kind = references.kindOf(name, nameNode);
        boolean known = false;
        for (Verb verb : Verb.values()) {
            Optional<List<String>> arguments = verb.match(words);
            known |= arguments.isPresent();
            if (arguments.isPresent() && verb.kinds().contains(kind)) {
                Step step = new Step(name, verb, arguments.get(), YamlNodes.line(action));
                return references.checked(step, action);
            }
        }
        String message = YamlNodes.shown(action) + " is no step" + (known ? " of " + kind.words() : "") + "; "
                + kind.words() + " can: " + Verb.formsOf(kind);
        throw known ? yaml.unknown(action, message) : yaml.refused(action, message);
    }

    // Explorations.

    private Programs programs(Map<String, Node> fields, References references) {
        Map<String, List<Step>> programs = new LinkedHashMap<>();
        Node node = field(fields, "programs");
        yaml.mapping(node, "programs").forEach((name, entry) -> {
            yaml.text(entry.getKeyNode(), "an actor's name", Verb.NAME);
            List<Step> program = new ArrayList<>();
            for (Node action : some(entry.getValueNode(), "a program's steps")) {
                Step step = step(name, entry.getKeyNode(), action, references);
                if (!Programs.OF_PROGRAMS.contains(step.verb())) {
                    throw yaml.unknown(action, YamlNodes.shown(action) + " can't be a step of a program");
                }
                program.add(step);
            }
            programs.put(name, program);
        });
        if (programs.isEmpty()) {
            throw yaml.refused(node, "no program, expected one at least");
        }
        Node may = fields.get("may");
        Map<String, Node> events = may == null
                ? Map.of()
                : yaml.fields(may, "what may happen", List.of(), List.of("scheduler", "hardware", "vmm"));
        List<Step> vmm = new ArrayList<>();
        Node menu = events.get("vmm");
        if (menu != null) {
            for (Node action : some(menu, "the VMM's steps")) {
                Step step = step("vmm", action, action, references);
                if (!Programs.OF_VMM.contains(step.verb())) {
                    throw yaml.unknown(action, YamlNodes.shown(action) + " can't be tried at any time");
                }
                vmm.add(step);
            }
        }
        List<String> domains = programs.keySet().stream()
                .filter(name -> references.actors().get(name) instanceof Actor.Domain)
                .toList();
        if (domains.size() + (vmm.isEmpty() ? 0 : 1) > 1) {
            throw yaml.unknown(
                    node,
                    "programs of the domains " + domains + (vmm.isEmpty() ? "" : " beside steps of the VMM")
                            + ", expected one domain with a program, or the VMM's steps");
        }
        List<Programs.Property> never = new ArrayList<>();
        for (Node each : some(field(fields, "never"), "what must not be")) {
            never.add(yaml.constant(each, "what must not be", sentences(Programs.Property.values())));
        }
        return new Programs(
                programs,
                scheduler(events.get("scheduler"), references),
                hardware(events.get("hardware"), references),
                vmm,
                never);
    }

    private Programs.Scheduler scheduler(@Nullable Node node, References references) {
        if (node == null) {
            return Programs.Scheduler.IDLE;
        }
        Map<String, Node> fields =
                yaml.fields(node, "the scheduler's part", List.of("at-most"), List.of("move", "preempt"));
        return new Programs.Scheduler(
                names(fields.get("move"), "a vCPU", references::checkVcpu),
                names(fields.get("preempt"), "a vCPU", references::checkVcpu),
                yaml.number(field(fields, "at-most"), "how often the scheduler acts", MOST_EVENTS));
    }

    private Programs.Hardware hardware(@Nullable Node node, References references) {
        if (node == null) {
            return Programs.Hardware.IDLE;
        }
        Map<String, Node> fields =
                yaml.fields(node, "the hardware's part", List.of(), List.of("evict", "prefetch", "prefetch-by"));
        Node by = fields.get("prefetch-by");
        return new Programs.Hardware(
                names(fields.get("evict"), "a page of memory", references::checkMemory),
                names(fields.get("prefetch"), "a page of memory", references::checkPage),
                by == null
                        ? Programs.PrefetchBy.RUNNING_CPUS
                        : yaml.constant(by, "CPUs", sentences(Programs.PrefetchBy.values())));
    }

    /** Returns one name, or a list of names. */
    private List<String> names(@Nullable Node node, String words, BiConsumer<String, Node> check) {
        if (node == null) {
            return List.of();
        }
        List<String> names = new ArrayList<>();
        for (Node each : node instanceof SequenceNode ? some(node, words) : List.of(node)) {
            String name = yaml.text(each, words, Verb.NAME);
            check.accept(name, each);
            names.add(name);
        }
        return names;
    }

    /** Returns constants by their names in pages: lower case, with spaces. */
    private static <E extends Enum<E>> Map<String, E> sentences(E[] constants) {
        Map<String, E> sentences = new LinkedHashMap<>();
        for (E constant : constants) {
            sentences.put(sentence(constant), constant);
        }
        return sentences;
    }

    /** Returns a constant by its name in pages: lower case, with spaces. */
    public static String sentence(Enum<?> constant) {
        return constant.name().toLowerCase(Locale.ROOT).replace('_', ' ').replace("no snoop", "no-snoop");
    }

    // Expectations.

    private Expectation expectation(Node node, References references) {
        Map<String, Node> fields = yaml.fields(
                node,
                "an expectation",
                List.of("verdict"),
                List.of("machines", "since", "until", "reason", "blame", "errno", "wrong"));
        List<String> machines = new ArrayList<>();
        Node listed = fields.get("machines");
        if (listed != null) {
            for (Node machine : some(listed, "machines")) {
                machines.add(yaml.text(machine, "a machine's name", HYPHENED));
            }
        }
        Node reason = fields.get("reason");
        Node blame = fields.get("blame");
        Node errno = fields.get("errno");
        LinuxRelease since = release(fields.get("since"));
        Node last = fields.get("until");
        LinuxRelease until = release(last);
        if (last != null && since != null && until != null && since.compareTo(until) > 0) {
            throw yaml.unknown(last, YamlNodes.shown(last) + " is before 'since', expected a later release");
        }
        return new Expectation(
                machines,
                since,
                until,
                yaml.constant(field(fields, "verdict"), "a verdict", names(Verdict.values())),
                reason == null ? null : yaml.constant(reason, "a reason", names(NotApplicable.values())),
                blame == null ? null : yaml.constant(blame, "a part to blame", names(Blame.values())),
                errno == null ? null : yaml.constant(errno, "an errno", names(Errno.values())),
                wrong(fields.get("wrong"), references));
    }

    private @Nullable LinuxRelease release(@Nullable Node node) {
        if (node == null) {
            return null;
        }
        String text = yaml.text(node, "a release as it is tagged, such as v6.10", RELEASE);
        try {
            return LinuxRelease.named(text.startsWith("v") ? text.substring(1) : text);
        } catch (IllegalArgumentException e) {
            throw yaml.unknown(node, String.valueOf(e.getMessage()));
        }
    }

    private Expectation.@Nullable Wrong wrong(@Nullable Node node, References references) {
        if (node == null) {
            return null;
        }
        String text = yaml.text(node, "a wrong read");
        Matcher matcher = WRONG.matcher(text);
        if (!matcher.matches()) {
            throw yaml.refused(
                    node,
                    YamlNodes.shown(node)
                            + ", expected 'ACTOR reads VALUE', 'ACTOR loads VALUE' or 'memory holds VALUE'");
        }
        String actor = matcher.group(1);
        if (actor != null) {
            references.kindOf(actor, node);
        }
        return new Expectation.Wrong(actor, value(matcher.group(2)));
    }

    /** Returns the number that a word of {@link Verb#VALUE} is. */
    public static long value(String text) {
        return text.startsWith("0x") ? Long.parseUnsignedLong(text.substring(2), 16) : Long.parseLong(text);
    }
}
