// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.tngtech.archunit.core.domain.Dependency;
import com.tngtech.archunit.core.domain.JavaClass;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Classes that can be read bottom-up: circles of classes inside one package, against the list of those that are left.
 *
 * <p>Nested classes belong to their top-level class. A circle is a strongly connected component of more than one class:
 * each of them needs, directly or by way of others, all the others. The list, {@code class-circles.txt}, has to match:
 * a class that enters a circle fails the test, and so does one that left it and is still listed. The list may only
 * shrink. A constant that the compiler copies into the class that uses it is not seen.
 */
class ClassCirclesTest {
    /** A class that a list of package-info names. */
    private static final Pattern LISTED = Pattern.compile("\\{@(?:code|link)\\s+(?:[a-z0-9]+\\.)*([A-Z]\\w+)}");

    private static final String LIST = "/class-circles.txt";

    @Test
    void circlesOfClassesAreTheOnesThatAreListed() throws IOException {
        Map<String, Map<String, Set<String>>> packages = graphs();
        assertThat(packages.values().stream().mapToInt(Map::size).sum())
                .as("classes seen")
                .isGreaterThan(300);
        Map<String, List<Set<String>>> found = new TreeMap<>();
        packages.forEach((name, graph) -> {
            List<Set<String>> circles = circles(graph);
            if (!circles.isEmpty()) {
                found.put(name, circles);
            }
        });

        assertThat(lines(found))
                .as("circles of classes; %s lists those that are left", LIST)
                .containsExactlyInAnyOrderElementsOf(lines(listed()));
    }

    @Test
    void aCircleIsFoundWithAllItsMembersAndNothingElse() {
        Map<String, Set<String>> graph = new TreeMap<>();
        graph.put("A", Set.of("B"));
        graph.put("B", Set.of("C", "Leaf"));
        graph.put("C", Set.of("A"));
        graph.put("Leaf", Set.of());
        graph.put("Root", Set.of("A", "X"));
        graph.put("X", Set.of("Y"));
        graph.put("Y", Set.of("X", "C"));

        assertThat(circles(graph)).containsExactly(Set.of("A", "B", "C"), Set.of("X", "Y"));
        graph.put("Leaf", Set.of("Root"));
        assertThat(circles(graph)).containsExactly(graph.keySet());
        graph.put("C", Set.of());
        graph.put("Leaf", Set.of());
        assertThat(circles(graph)).containsExactly(Set.of("X", "Y"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"intel", "amd", "riscv"})
    void aDriverIsListedBottomUp(String vendor) throws IOException {
        Map<String, Set<String>> graph = graphs().get("org.iommu4j." + vendor);
        String packageInfo = "iommu-" + vendor + "/src/main/java/org/iommu4j/" + vendor + "/package-info.java";
        String text = Files.readString(Checkout.root().resolve(packageInfo)).replace("\n *", "");
        Matcher names = LISTED.matcher(text.substring(text.indexOf("<ul>"), text.indexOf("</ul>")));
        List<String> order = names.results().map(found -> found.group(1)).toList();

        assertThat(order).as("classes that package-info lists").containsExactlyInAnyOrderElementsOf(graph.keySet());
        Set<String> below = new TreeSet<>();
        for (String name : order) {
            below.add(name);
            assertThat(graph.get(name))
                    .as("what %s needs is listed before it", name)
                    .isSubsetOf(below);
        }
    }

    @Test
    void theListNamesEachClassInOnePlace() {
        assertThatThrownBy(() -> parse(List.of("org.iommu4j.a: A B", "org.iommu4j.a: B C")))
                .hasMessage("class-circles.txt lists org.iommu4j.a.B twice");
        assertThatThrownBy(() -> parse(List.of("org.iommu4j.a: A")))
                .hasMessage("class-circles.txt has \"org.iommu4j.a: A\", expected \"package: Class Class ...\"");
    }

    /** Returns, for each package, which of its top-level classes each of them needs. */
    private static Map<String, Map<String, Set<String>>> graphs() {
        Map<String, Map<String, Set<String>>> packages = new TreeMap<>();
        for (JavaClass type : ArchitectureTest.CLASSES) {
            if (type.getSimpleName().equals("package-info")) {
                continue;
            }
            Set<String> needs = packages.computeIfAbsent(type.getPackageName(), name -> new TreeMap<>())
                    .computeIfAbsent(topLevel(type), name -> new TreeSet<>());
            for (Dependency dependency : type.getDirectDependenciesFromSelf()) {
                JavaClass target = dependency.getTargetClass().getBaseComponentType();
                if (!target.isPrimitive() && target.getPackageName().equals(type.getPackageName())) {
                    needs.add(topLevel(target));
                }
            }
        }
        return packages;
    }

    private static String topLevel(JavaClass type) {
        JavaClass top = type;
        while (top.getEnclosingClass().isPresent()) {
            top = top.getEnclosingClass().get();
        }
        return top.getSimpleName();
    }

    /**
     * Finds the strongly connected components of more than one class, by the first class of each: Tarjan's algorithm.
     */
    private static List<Set<String>> circles(Map<String, Set<String>> graph) {
        Tarjan search = new Tarjan(graph);
        graph.keySet().forEach(search::visitUnseen);
        search.found.sort((a, b) -> a.iterator().next().compareTo(b.iterator().next()));
        return search.found;
    }

    private static final class Tarjan {
        final List<Set<String>> found = new ArrayList<>();
        private final Map<String, Set<String>> graph;
        private final Map<String, Integer> order = new HashMap<>();
        private final Map<String, Integer> lowest = new HashMap<>();
        private final Deque<String> open = new ArrayDeque<>();

        Tarjan(Map<String, Set<String>> graph) {
            this.graph = graph;
        }

        void visitUnseen(String name) {
            if (!order.containsKey(name)) {
                visit(name);
            }
        }

        private void visit(String name) {
            int own = order.size();
            order.put(name, own);
            lowest.put(name, own);
            open.push(name);
            for (String next : graph.getOrDefault(name, Set.of())) {
                if (!order.containsKey(next)) {
                    visit(next);
                    lowest.merge(name, lowest.get(next), Math::min);
                } else if (open.contains(next)) {
                    lowest.merge(name, order.get(next), Math::min);
                }
            }
            if (lowest.get(name) == own) {
                Set<String> members = new TreeSet<>();
                String member;
                do {
                    member = open.pop();
                    members.add(member);
                } while (!member.equals(name));
                if (members.size() > 1) {
                    found.add(members);
                }
            }
        }
    }

    private static Map<String, List<Set<String>>> listed() throws IOException {
        try (InputStream in = ClassCirclesTest.class.getResourceAsStream(LIST)) {
            return parse(new String(in.readAllBytes(), StandardCharsets.UTF_8)
                    .lines()
                    .filter(line -> !line.isBlank() && !line.startsWith("#"))
                    .toList());
        }
    }

    private static Map<String, List<Set<String>>> parse(List<String> lines) {
        Map<String, List<Set<String>>> circles = new TreeMap<>();
        Set<String> seen = new TreeSet<>();
        for (String line : lines) {
            String[] parts = line.split(": ", 2);
            Set<String> members = parts.length < 2 ? Set.of() : new TreeSet<>(List.of(parts[1].split(" +")));
            if (members.size() < 2) {
                throw new IllegalStateException(
                        "class-circles.txt has \"" + line + "\", expected \"package: Class Class ...\"");
            }
            for (String member : members) {
                if (!seen.add(parts[0] + "." + member)) {
                    throw new IllegalStateException("class-circles.txt lists " + parts[0] + "." + member + " twice");
                }
            }
            circles.computeIfAbsent(parts[0], name -> new ArrayList<>()).add(members);
        }
        return circles;
    }

    /** Returns a line for each circle, as the list has it. */
    private static List<String> lines(Map<String, List<Set<String>>> circles) {
        List<String> lines = new ArrayList<>();
        circles.forEach((name, all) -> all.forEach(members -> lines.add(name + ": " + String.join(" ", members))));
        return lines;
    }
}
