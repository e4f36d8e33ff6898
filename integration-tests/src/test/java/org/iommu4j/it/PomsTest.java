// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.w3c.dom.Element;
import org.w3c.dom.Node;

/** What the poms say to users of the modules. */
class PomsTest {
    /** Modules that are no library. */
    private static final Set<String> NO_LIBRARIES = Set.of(
            "benchmarks",
            "examples/iommu-minimal",
            "examples/iommu-minimal-sim",
            "integration-tests",
            "iommu-bom",
            "iommu-vendor-archetype",
            "witnesses",
            "workbench");

    private static Element pom(String module) throws Exception {
        return DocumentBuilderFactory.newInstance()
                .newDocumentBuilder()
                .parse(Checkout.root().resolve(module).resolve("pom.xml").toFile())
                .getDocumentElement();
    }

    private static List<Element> children(Element parent, String name) {
        return IntStream.range(0, parent.getChildNodes().getLength())
                .mapToObj(parent.getChildNodes()::item)
                .filter(node -> node.getNodeType() == Node.ELEMENT_NODE
                        && node.getNodeName().equals(name))
                .map(Element.class::cast)
                .toList();
    }

    private static String text(Element parent, String name) {
        return children(parent, name).get(0).getTextContent().strip();
    }

    private static List<String> modules() throws Exception {
        return children(children(pom(""), "modules").get(0), "module").stream()
                .map(Element::getTextContent)
                .toList();
    }

    static List<String> libraries() throws Exception {
        return modules().stream()
                .filter(module -> !NO_LIBRARIES.contains(module))
                .toList();
    }

    @Test
    void theBillOfMaterialsHasAllLibrariesInTheVersionOfTheBuildAndNothingElse() throws Exception {
        Element bom = pom("iommu-bom");
        String version = text(pom(""), "version");
        List<Element> managed = children(
                children(children(bom, "dependencyManagement").get(0), "dependencies")
                        .get(0),
                "dependency");

        assertThat(children(bom, "parent"))
                .as("what a parent manages would come along")
                .isEmpty();
        assertThat(text(bom, "version")).isEqualTo(version);
        assertThat(managed)
                .extracting(dependency -> text(dependency, "artifactId"))
                .containsExactlyInAnyOrderElementsOf(libraries());
        assertThat(managed).allSatisfy(dependency -> {
            assertThat(text(dependency, "groupId")).isEqualTo("org.iommu4j");
            assertThat(text(dependency, "version")).isEqualTo(version);
        });
    }

    @Test
    void eachModuleSaysWhatItIs() throws Exception {
        for (String module : modules()) {
            Element pom = pom(module);
            assertThat(text(pom, "name")).as(module).isNotBlank();
            assertThat(text(pom, "description")).as(module).isNotBlank();
        }
    }

    /** A user on the class path and one on the module path find the same services. */
    @ParameterizedTest
    @MethodSource("libraries")
    void theModuleDescriptorAndTheServiceFilesNameTheSameServices(String library) throws IOException {
        Path main = Checkout.root().resolve(library).resolve("src/main");
        Set<String> byModule = new TreeSet<>();
        String descriptor = Files.readString(main.resolve("java/module-info.java"));
        for (String provides : descriptor.split("provides ", -1)) {
            if (!provides.equals(descriptor.split("provides ", -1)[0])) {
                byModule.add(provides.split("\\s", 2)[0]);
            }
        }
        Set<String> byFiles = new TreeSet<>();
        Path services = main.resolve("resources/META-INF/services");
        if (Files.isDirectory(services)) {
            try (Stream<Path> files = Files.list(services)) {
                files.forEach(file -> byFiles.add(file.getFileName().toString()));
            }
        }
        assertThat(byModule).isEqualTo(byFiles);
    }
}
