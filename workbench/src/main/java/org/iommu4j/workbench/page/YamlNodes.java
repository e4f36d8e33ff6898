// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.page;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.iommu4j.host.InputException;
import org.iommu4j.host.Printable;
import org.jspecify.annotations.Nullable;
import org.snakeyaml.engine.v2.api.LoadSettings;
import org.snakeyaml.engine.v2.api.lowlevel.Compose;
import org.snakeyaml.engine.v2.api.lowlevel.Parse;
import org.snakeyaml.engine.v2.common.SpecVersion;
import org.snakeyaml.engine.v2.events.AliasEvent;
import org.snakeyaml.engine.v2.events.CollectionEndEvent;
import org.snakeyaml.engine.v2.events.CollectionStartEvent;
import org.snakeyaml.engine.v2.events.DocumentStartEvent;
import org.snakeyaml.engine.v2.events.Event;
import org.snakeyaml.engine.v2.events.NodeEvent;
import org.snakeyaml.engine.v2.events.ScalarEvent;
import org.snakeyaml.engine.v2.exceptions.Mark;
import org.snakeyaml.engine.v2.exceptions.MarkedYamlEngineException;
import org.snakeyaml.engine.v2.exceptions.ReaderException;
import org.snakeyaml.engine.v2.exceptions.YamlEngineException;
import org.snakeyaml.engine.v2.exceptions.YamlVersionException;
import org.snakeyaml.engine.v2.nodes.MappingNode;
import org.snakeyaml.engine.v2.nodes.Node;
import org.snakeyaml.engine.v2.nodes.NodeTuple;
import org.snakeyaml.engine.v2.nodes.ScalarNode;
import org.snakeyaml.engine.v2.nodes.SequenceNode;
import org.snakeyaml.engine.v2.nodes.Tag;
import org.snakeyaml.engine.v2.schema.JsonSchema;

/**
 * A text of YAML as nodes that know their places. A scalar is its text; no object is made of it.
 *
 * <p>Refused are aliases, anchors, tags, a second document, a key that comes twice, and depth beyond that of a page.
 * Every refusal is one line with file, line and column, and is printable.
 */
final class YamlNodes {
    /** The longest text, in bytes. */
    static final int MAX_BYTES = 1 << 20;

    private static final int MAX_DEPTH = 16;
    private static final int SHOWN = 60;

    private final String file;

    YamlNodes(String file) {
        this.file = file;
    }

    /**
     * Reads a text.
     *
     * @throws InputException when it is no YAML of this kind
     */
    Node root(byte[] bytes) {
        if (bytes.length > MAX_BYTES) {
            throw refused(1, 1, bytes.length + " bytes, expected at most " + MAX_BYTES);
        }
        String text = decoded(bytes);
        LoadSettings settings = LoadSettings.builder()
                .setLabel(file)
                .setCodePointLimit(MAX_BYTES)
                .setBufferSize(text.length() + 2) // a line that spans buffers would be copied with each of them
                .setSchema(new JsonSchema())
                .build();
        try {
            checkEvents(new Parse(settings).parseString(text));
            Optional<Node> root = new Compose(settings).composeString(text);
            return root.orElseThrow(() -> refused(1, 1, "the page is empty"));
        } catch (MarkedYamlEngineException e) {
            Mark mark = e.getProblemMark().or(e::getContextMark).orElse(null);
            throw refused(mark, "no YAML: " + e.getProblem());
        } catch (ReaderException e) {
            int before = Math.min(e.getPosition(), text.codePointCount(0, text.length()));
            String read = text.substring(0, text.offsetByCodePoints(0, before));
            int line = 1 + (int) read.chars().filter(c -> c == '\n').count();
            throw refused(
                    line,
                    read.length() - read.lastIndexOf('\n'),
                    "no YAML: character U+" + Integer.toHexString(e.getCodePoint()) + " is not allowed");
        } catch (YamlVersionException e) {
            SpecVersion version = e.getSpecVersion();
            throw refused(1, 1, "YAML " + version.getMajor() + "." + version.getMinor() + ", expected 1.2");
        } catch (YamlEngineException e) {
            throw refused(1, 1, "no YAML: " + e.getMessage());
        }
    }

    private String decoded(byte[] bytes) {
        try {
            return StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(bytes))
                    .toString();
        } catch (CharacterCodingException e) {
            throw refused(1, 1, "the page is not text in UTF-8");
        }
    }

    private void checkEvents(Iterable<Event> events) {
        int depth = 0;
        int documents = 0;
        for (Event event : events) {
            Mark mark = event.getStartMark().orElse(null);
            if (event instanceof AliasEvent) {
                throw refused(mark, "an alias (*), expected the text itself");
            }
            if (event instanceof NodeEvent node && node.getAnchor().isPresent()) {
                throw refused(mark, "an anchor (&), expected none");
            }
            boolean tagged =
                    (event instanceof ScalarEvent scalar && scalar.getTag().isPresent())
                            || (event instanceof CollectionStartEvent start
                                    && start.getTag().isPresent());
            if (tagged) {
                throw refused(mark, "a tag (!), expected none");
            }
            if (event instanceof DocumentStartEvent && ++documents > 1) {
                throw refused(mark, "a second document, expected one page a file");
            }
            if (event instanceof CollectionStartEvent && ++depth > MAX_DEPTH) {
                throw refused(mark, "more than " + MAX_DEPTH + " levels, which no page has");
            }
            if (event instanceof CollectionEndEvent) {
                depth--;
            }
        }
    }

    /** Makes a refusal of what is at a node. */
    InputException refused(Node at, String message) {
        return new InputException(placed(at.getStartMark().orElse(null), message));
    }

    /** Makes a refusal of a name. */
    PageReferenceException unknown(Node at, String message) {
        return new PageReferenceException(placed(at.getStartMark().orElse(null), message));
    }

    private InputException refused(@Nullable Mark mark, String message) {
        return new InputException(placed(mark, message));
    }

    private InputException refused(int line, int column, String message) {
        return new InputException(placed(line, column, message));
    }

    private String placed(@Nullable Mark mark, String message) {
        return mark == null ? placed(1, 1, message) : placed(mark.getLine() + 1, mark.getColumn() + 1, message);
    }

    private String placed(int line, int column, String message) {
        return Printable.line(file + ":" + line + ":" + column + ": " + message);
    }

    /** Returns a node's line, from 1. */
    static int line(Node node) {
        return node.getStartMark().map(mark -> mark.getLine() + 1).orElse(1);
    }

    /** Returns a node for messages. */
    static String shown(Node node) {
        return node instanceof ScalarNode scalar
                ? "'" + Printable.cut(scalar.getValue(), SHOWN) + "'"
                : node instanceof SequenceNode ? "a list" : "a mapping";
    }

    /** Returns a mapping's values with their keys; {@code words} says what the mapping is. */
    Map<String, NodeTuple> mapping(Node node, String words) {
        if (!(node instanceof MappingNode mapping)) {
            throw refused(node, shown(node) + ", expected " + words + ": a mapping");
        }
        Map<String, NodeTuple> entries = new LinkedHashMap<>();
        for (NodeTuple entry : mapping.getValue()) {
            Node key = entry.getKeyNode();
            if (entries.put(text(key, "a key"), entry) != null) {
                throw refused(key, "key " + shown(key) + " comes twice");
            }
        }
        return entries;
    }

    /** Returns a mapping of known keys. */
    Map<String, Node> fields(Node node, String words, Collection<String> required, Collection<String> optional) {
        List<String> known = new ArrayList<>(required);
        known.addAll(optional);
        Map<String, Node> fields = new LinkedHashMap<>();
        mapping(node, words).forEach((key, entry) -> {
            if (!known.contains(key)) {
                throw refused(
                        entry.getKeyNode(),
                        "unknown key " + shown(entry.getKeyNode()) + " of " + words + ", expected one of "
                                + String.join(", ", known));
            }
            fields.put(key, entry.getValueNode());
        });
        for (String key : required) {
            if (!fields.containsKey(key)) {
                throw refused(node, words + " lacks '" + key + "'");
            }
        }
        return fields;
    }

    /** Returns a list's elements. */
    List<Node> list(Node node, String words) {
        if (!(node instanceof SequenceNode sequence)) {
            throw refused(node, shown(node) + ", expected " + words + ": a list");
        }
        return sequence.getValue();
    }

    /** Returns a text that is not empty. */
    String text(Node node, String words) {
        if (!(node instanceof ScalarNode scalar)) {
            throw refused(node, shown(node) + ", expected " + words + ": a text");
        }
        if (!scalar.getTag().equals(Tag.STR)) {
            throw refused(node, shown(node) + " is no text for YAML, expected " + words + "; quotes make it one");
        }
        if (scalar.getValue().isEmpty()) {
            throw refused(node, "an empty text, expected " + words);
        }
        return scalar.getValue();
    }

    /** Returns a text of a pattern. */
    String text(Node node, String words, String pattern) {
        String text = text(node, words);
        if (!text.matches(pattern)) {
            throw refused(node, shown(node) + ", expected " + words);
        }
        return text;
    }

    /** Returns a number. */
    int number(Node node, String words, int most) {
        if (node instanceof ScalarNode scalar
                && scalar.getTag().equals(Tag.INT)
                && scalar.getValue().matches("[0-9]{1,6}")
                && Integer.parseInt(scalar.getValue()) <= most) {
            return Integer.parseInt(scalar.getValue());
        }
        throw refused(node, shown(node) + ", expected " + words + ": a number from 0 to " + most);
    }

    /** Returns true or false. */
    boolean truth(Node node, String words) {
        if (node instanceof ScalarNode scalar && scalar.getTag().equals(Tag.BOOL)) {
            return scalar.getValue().equals("true");
        }
        throw refused(node, shown(node) + ", expected " + words + ": true or false");
    }

    /** Returns a constant by its name in a page: as in Java, or in lower case joined by hyphens. */
    <E extends Enum<E>> E constant(Node node, String words, Map<String, E> known) {
        E found = node instanceof ScalarNode scalar && scalar.getTag().equals(Tag.STR)
                ? known.get(scalar.getValue())
                : null;
        if (found == null) {
            throw refused(node, shown(node) + ", expected " + words + ": one of " + String.join(", ", known.keySet()));
        }
        return found;
    }
}
