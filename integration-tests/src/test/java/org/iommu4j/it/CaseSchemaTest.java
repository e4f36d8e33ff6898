// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.iommu4j.host.InputException;
import org.iommu4j.workbench.page.PageReader;
import org.iommu4j.workbench.page.PageReferenceException;
import org.iommu4j.workbench.page.Verb;
import org.junit.jupiter.api.Test;
import org.snakeyaml.engine.v2.api.Load;
import org.snakeyaml.engine.v2.api.LoadSettings;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** The schema of a page and its reader accept and refuse the same pages, but for names, which no schema checks. */
class CaseSchemaTest {
    private static final JsonMapper JSON = JsonMapper.shared();

    /** What stands in for any value of a page. */
    private static final List<String> STRANGERS = List.of(
            "0",
            "7",
            "-1",
            "63",
            "64",
            "1.5",
            "true",
            "false",
            "null",
            "\"\"",
            "\"x\"",
            "\"Upper\"",
            "\"a b\"",
            "\"true\"",
            "\"6.10\"",
            "\"v6.10\"",
            "\"v5.19-posted\"",
            "\"COHERENT\"",
            "\"EINVAL\"",
            "\"first\"",
            "\"wbinvd\"",
            "\"hot-add gpu to guest\"",
            "\"stale read\"",
            "\"any cpu\"",
            "[\"stale read\"]",
            "\"store buffer = 0x1\"",
            "\"store buffer = 0xg\"",
            "\"gpu reads 0x0\"",
            "[]",
            "{}",
            "[\"a\"]",
            "{\"a\":\"b\"}",
            "{\"vm\":\"guest\",\"cpu\":1}",
            "{\"host\":false,\"cpu\":1}",
            "{\"of\":\"guest\"}",
            "{\"by\":\"iommufd\"}");

    private static final String EXPLORED = """
            case: explored
            about: programs in place of steps
            actors:
              vcpu0: {vm: guest, cpu: 1}
              gpu:   {device: first, no-snoop: true}
            memory:
              buffer: {of: guest}
            programs:
              vcpu0: [store buffer = 1, wbinvd, ring gpu]
              gpu:   [await vcpu0, read buffer]
            may:
              scheduler: {move: vcpu0, preempt: [vcpu0], at-most: 2}
              hardware:  {evict: [buffer], prefetch: buffer, prefetch-by: any cpu}
              vmm:       [hot-add gpu to guest]
            never: [stale read, stuck]
            """;

    /** Pages that have among them every kind of actor and of key. */
    private static final List<String> SAMPLES = List.of(
            "late-attach.yaml",
            "stale-host-data.yaml",
            "mixed-group.yaml",
            "handed-on-hwpt.yaml",
            "virtual-snoop-control.yaml");

    private final JsonNode schema = JSON.readTree(Checkout.root().resolve("docs/case.schema.json"));

    private static List<Path> pages() throws IOException {
        try (Stream<Path> files = Files.list(Checkout.root().resolve("workbench/src/main/resources/cases"))) {
            return files.filter(file -> file.toString().endsWith(".yaml"))
                    .sorted()
                    .toList();
        }
    }

    private static JsonNode tree(Path page) throws IOException {
        return tree(Files.readString(page));
    }

    private static JsonNode tree(String page) {
        return JSON.valueToTree(new Load(LoadSettings.builder().build()).loadFromString(page));
    }

    @Test
    void theFormsOfStepsAreTheReadersVerbs() {
        String pattern = schema.at("/$defs/action/pattern").asString();
        assertThat(pattern)
                .isEqualTo(
                        Arrays.stream(Verb.values()).map(Verb::pattern).collect(Collectors.joining("|", "^(?:", ")$")));
        String forms = schema.at("/$defs/step/description").asString();
        assertThat(forms)
                .isEqualTo("One of: "
                        + Arrays.stream(Verb.values()).map(Verb::form).collect(Collectors.joining("; ")) + ".");
    }

    @Test
    void theBuiltInPagesAreOfTheSchema() throws IOException {
        assertThat(pages()).isNotEmpty();
        for (Path page : pages()) {
            assertThat(JsonSchema.errors(schema, tree(page)))
                    .as(page.toString())
                    .isEmpty();
        }
    }

    /**
     * Everywhere in some pages something is left out, put in the place of another, or added. The reader ends at the
     * first name that is of nothing; what it says of the form of such a page is not known.
     */
    @Test
    void theSchemaRefusesAPageIfAndOnlyIfTheReaderRefusesItsForm() throws IOException {
        int accepted = 0;
        int refused = 0;
        int unknown = 0;
        Path folder = Checkout.root().resolve("workbench/src/main/resources/cases");
        Map<String, JsonNode> samples = new LinkedHashMap<>();
        for (String name : SAMPLES) {
            samples.put(name, tree(folder.resolve(name)));
        }
        samples.put("explored", tree(EXPLORED));
        for (Map.Entry<String, JsonNode> sample : samples.entrySet()) {
            for (JsonNode changed : changes(sample.getValue())) {
                boolean bySchema = JsonSchema.errors(schema, changed).isEmpty();
                String refusal = "";
                try {
                    PageReader.read("page", changed.toString().getBytes(StandardCharsets.UTF_8));
                } catch (PageReferenceException e) {
                    unknown++;
                    continue;
                } catch (InputException e) {
                    refusal = e.getMessage();
                }
                assertThat(refusal.isEmpty())
                        .as("%s%n%s%n%s", sample.getKey(), changed, refusal)
                        .isEqualTo(bySchema);
                accepted += bySchema ? 1 : 0;
                refused += bySchema ? 0 : 1;
            }
        }
        assertThat(accepted).isGreaterThan(100);
        assertThat(refused).isGreaterThan(1000);
        assertThat(unknown).isLessThan((accepted + refused) / 5);
    }

    private static List<JsonNode> changes(JsonNode page) {
        List<JsonNode> changes = new ArrayList<>();
        change(page, page, changes);
        return changes;
    }

    /** Changes what is below a node, one thing a time, and adds a copy of the whole page each time. */
    private static void change(JsonNode at, JsonNode page, List<JsonNode> changes) {
        if (at instanceof ObjectNode object) {
            for (String key : List.copyOf(object.propertyNames())) {
                JsonNode value = object.remove(key);
                changes.add(page.deepCopy());
                object.set("not A key", value);
                changes.add(page.deepCopy());
                object.remove("not A key");
                for (String stranger : STRANGERS) {
                    object.set(key, JSON.readTree(stranger));
                    changes.add(page.deepCopy());
                }
                object.set(key, value);
                change(value, page, changes);
            }
            object.put("added", "value");
            changes.add(page.deepCopy());
            object.remove("added");
        } else if (at instanceof ArrayNode array && !array.isEmpty()) {
            int index = array.size() - 1;
            JsonNode value = array.get(index);
            for (String stranger : STRANGERS) {
                array.set(index, JSON.readTree(stranger));
                changes.add(page.deepCopy());
            }
            array.set(index, value);
            change(value, page, changes);
        }
    }
}
