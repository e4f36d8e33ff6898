// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.pictures;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Pattern;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.parsers.ParserConfigurationException;
import org.w3c.dom.Element;
import org.w3c.dom.Node;
import org.xml.sax.SAXException;

/** The modules of the house, and which of them sees which, from their poms and module declarations. */
final class HousePicture {
    private static final int COLUMN = 270;
    private static final int BOX = 236;
    private static final int FLOOR = 140;
    private static final int TOP = 60;
    private static final int LEFT = 20;

    private static final Pattern DECLARATION = Pattern.compile("(?m)^module ([\\w.]+) \\{");
    private static final Pattern REQUIRES = Pattern.compile("(?m)^ +requires (?:static |transitive )*([\\w.]+);");

    /** A module: what it is, which modules its code sees, and which it finds when it runs. */
    private record Module(String name, String description, Set<String> sees, Set<String> finds) {}

    private final Map<String, Module> modules = new TreeMap<>();

    private HousePicture(Path root) throws IOException, ParserConfigurationException, SAXException {
        Map<String, Path> artifacts = new TreeMap<>();
        Map<String, String> declared = new TreeMap<>();
        for (Element module : children(child(read(root.resolve("pom.xml")), "modules"), "module")) {
            Path directory = root.resolve(module.getTextContent().trim());
            Path declaration = directory.resolve("src/main/java/module-info.java");
            if (Files.exists(declaration)) {
                String artifact = textOf(read(directory.resolve("pom.xml")), "artifactId", "");
                artifacts.put(artifact, directory);
                declared.put(all(DECLARATION, Files.readString(declaration)).get(0), artifact);
            }
        }
        for (Map.Entry<String, Path> artifact : artifacts.entrySet()) {
            Element pom = read(artifact.getValue().resolve("pom.xml"));
            Set<String> sees = new TreeSet<>();
            for (String required :
                    all(REQUIRES, Files.readString(artifact.getValue().resolve("src/main/java/module-info.java")))) {
                if (declared.containsKey(required)) {
                    sees.add(declared.get(required));
                }
            }
            Set<String> finds = new TreeSet<>();
            for (Element dependency : children(child(pom, "dependencies"), "dependency")) {
                String name = textOf(dependency, "artifactId", "");
                if (artifacts.containsKey(name)
                        && !sees.contains(name)
                        && !textOf(dependency, "scope", "compile").equals("test")) {
                    finds.add(name);
                }
            }
            modules.put(artifact.getKey(), new Module(artifact.getKey(), textOf(pom, "description", ""), sees, finds));
        }
        // What no module's code sees, and sees none, serves tests alone.
        modules.values()
                .removeIf(module -> module.sees().isEmpty()
                        && modules.values().stream()
                                .noneMatch(user -> user.sees().contains(module.name())));
    }

    private static List<String> all(Pattern pattern, String text) {
        return pattern.matcher(text).results().map(match -> match.group(1)).toList();
    }

    /** Draws the house whose top pom is in a directory. */
    static String draw(Path root) throws IOException, ParserConfigurationException, SAXException {
        return new HousePicture(root).draw();
    }

    private String draw() {
        List<List<Module>> floors = floors();
        int widest = floors.stream().mapToInt(List::size).max().orElse(1);
        int width = 2 * LEFT + widest * COLUMN - (COLUMN - BOX);
        Svg svg = new Svg("The house: an arrow points to the module that another one sees", width);
        Map<String, Room> rooms = new TreeMap<>();
        for (int floor = 0; floor < floors.size(); floor++) {
            List<Module> modulesHere = floors.get(floor);
            // The ground and the roof reach from wall to wall.
            boolean whole = modulesHere.size() == 1 && (floor == 0 || floor == floors.size() - 1);
            for (int i = 0; i < modulesHere.size(); i++) {
                Module module = modulesHere.get(i);
                int boxWidth = whole ? width - 2 * LEFT : BOX;
                rooms.put(
                        module.name(),
                        new Room(
                                LEFT + i * COLUMN,
                                TOP + (floors.size() - 1 - floor) * FLOOR,
                                boxWidth,
                                Svg.heightOfBox(module.description(), boxWidth)));
            }
        }
        for (Module module : modules.values()) {
            for (String seen : direct(module)) {
                connect(svg, rooms.get(module.name()), rooms.get(seen), false);
            }
            for (String found : module.finds()) {
                connect(svg, rooms.get(module.name()), rooms.get(found), true);
            }
        }
        for (Module module : modules.values()) {
            Room room = rooms.get(module.name());
            svg.box(
                    room.x(),
                    room.y(),
                    room.width(),
                    room.height(),
                    module.sees().isEmpty() ? "strong" : "box",
                    module.name(),
                    module.description());
        }
        int height = TOP + floors.size() * FLOOR;
        svg.text(LEFT, height - 40, "note", "dashed: found by ServiceLoader when the command runs");
        return svg.toSvg(height - 20);
    }

    /** Where a module is drawn. */
    private record Room(int x, int y, int width, int height) {
        int middle() {
            return x + width / 2;
        }
    }

    /** Draws an arrow, upright where one of the two rooms is above the other's middle. */
    private static void connect(Svg svg, Room from, Room to, boolean dashed) {
        boolean fromIsWide = from.width() > to.width();
        boolean toIsWide = to.width() > from.width();
        svg.arrow(
                fromIsWide ? to.middle() : from.middle(),
                from.y() + from.height(),
                toIsWide ? from.middle() : to.middle(),
                to.y() - 2,
                dashed);
    }

    /** Returns the modules by floor: each stands above all that it sees; those that most others stand on come first. */
    private List<List<Module>> floors() {
        List<List<Module>> floors = new ArrayList<>();
        for (Module module : modules.values()) {
            int floor = floor(module);
            while (floors.size() <= floor) {
                floors.add(new ArrayList<>());
            }
            floors.get(floor).add(module);
        }
        floors.forEach(
                floor -> floor.sort(Comparator.comparingLong(this::countUsers).reversed()));
        return floors;
    }

    private long countUsers(Module module) {
        return modules.values().stream()
                .filter(user -> allBelow(user).contains(module.name()))
                .count();
    }

    private int floor(Module module) {
        int floor = 0;
        Set<String> below = new LinkedHashSet<>(module.sees());
        below.addAll(module.finds());
        for (String seen : below) {
            floor = Math.max(floor, floor(modules.get(seen)) + 1);
        }
        return floor;
    }

    /** Returns what a module sees and none of the others that it sees does. */
    private Set<String> direct(Module module) {
        Set<String> direct = new TreeSet<>(module.sees());
        for (String seen : module.sees()) {
            direct.removeAll(allBelow(modules.get(seen)));
        }
        return direct;
    }

    private Set<String> allBelow(Module module) {
        Set<String> all = new TreeSet<>(module.sees());
        for (String seen : module.sees()) {
            all.addAll(allBelow(modules.get(seen)));
        }
        return all;
    }

    private static Element read(Path pom) throws IOException, ParserConfigurationException, SAXException {
        if (!Files.exists(pom)) {
            throw new IOException(pom + " is missing: the pictures are drawn from the poms");
        }
        return DocumentBuilderFactory.newDefaultInstance()
                .newDocumentBuilder()
                .parse(pom.toFile())
                .getDocumentElement();
    }

    private static Element child(Element parent, String name) {
        return children(parent, name).stream()
                .findFirst()
                .orElseThrow(() -> new IllegalStateException("no <" + name + "> in " + parent.getTagName()));
    }

    private static List<Element> children(Element parent, String name) {
        List<Element> children = new ArrayList<>();
        for (Node node = parent.getFirstChild(); node != null; node = node.getNextSibling()) {
            if (node instanceof Element element && element.getTagName().equals(name)) {
                children.add(element);
            }
        }
        return children;
    }

    private static String textOf(Element parent, String name, String absent) {
        return children(parent, name).stream()
                .findFirst()
                .map(element -> element.getTextContent().strip().replaceAll("\\s+", " "))
                .orElse(absent);
    }
}
