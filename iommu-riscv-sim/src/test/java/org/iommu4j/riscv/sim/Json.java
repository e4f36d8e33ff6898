// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/** One JSON object of the vectors; numbers are also strings such as {@code "0x1f"}. */
record Json(Map<String, Object> members) {
    /** Reads the object that a parser has come to. */
    static Json read(JsonParser parser) {
        return (Json) value(parser);
    }

    private static Object value(JsonParser parser) {
        return switch (parser.currentToken()) {
            case START_OBJECT -> {
                Map<String, Object> members = new HashMap<>();
                while (parser.nextToken() != JsonToken.END_OBJECT) {
                    String name = parser.currentName();
                    parser.nextToken();
                    members.put(name, value(parser));
                }
                yield new Json(members);
            }
            case START_ARRAY -> {
                List<Object> elements = new ArrayList<>();
                while (parser.nextToken() != JsonToken.END_ARRAY) {
                    elements.add(value(parser));
                }
                yield elements;
            }
            case VALUE_STRING -> parser.getString();
            case VALUE_NUMBER_INT -> parser.getLongValue();
            default -> throw new IllegalStateException("unexpected " + parser.currentToken());
        };
    }

    boolean has(String name) {
        return members.containsKey(name);
    }

    /** Returns a number, 0 if it is absent. */
    long number(String name) {
        return number(members.getOrDefault(name, 0L));
    }

    int integer(String name) {
        return (int) number(name);
    }

    static long number(Object value) {
        return value instanceof String text ? Long.parseUnsignedLong(text.substring(2), 16) : (Long) value;
    }

    String text(String name) {
        return (String) members.getOrDefault(name, "");
    }

    Json object(String name) {
        return (Json) members.getOrDefault(name, new Json(Map.of()));
    }

    List<?> list(String name) {
        return (List<?>) members.getOrDefault(name, List.of());
    }

    /** Returns a list of rows of numbers. */
    List<long[]> rows(String name) {
        List<long[]> rows = new ArrayList<>();
        for (Object row : list(name)) {
            List<?> cells = (List<?>) row;
            rows.add(cells.stream().mapToLong(Json::numberOrZero).toArray());
        }
        return rows;
    }

    private static long numberOrZero(@Nullable Object cell) {
        return cell instanceof String text && !text.startsWith("0x") ? 0 : number(cell);
    }
}
