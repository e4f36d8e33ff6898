// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it;

import java.util.ArrayList;
import java.util.List;
import tools.jackson.databind.JsonNode;

/** As much of JSON Schema as the published files use; anything else in them is an error. */
public final class JsonSchema {
    private JsonSchema() {}

    /** Returns what of a value is not as a schema says, and what of the schema is not understood. */
    public static List<String> errors(JsonNode schema, JsonNode value) {
        List<String> errors = new ArrayList<>();
        check(schema, schema, value, "$", errors);
        return errors;
    }

    private static void check(JsonNode schema, JsonNode root, JsonNode value, String at, List<String> errors) {
        for (String keyword : schema.propertyNames()) {
            switch (keyword) {
                case "$ref" -> {
                    String name = schema.get("$ref").asString().substring("#/$defs/".length());
                    check(root.get("$defs").get(name), root, value, at, errors);
                }
                case "type" -> {
                    boolean known = false;
                    for (JsonNode type :
                            schema.get("type").isArray() ? schema.get("type") : List.of(schema.get("type"))) {
                        known |= isOf(type.asString(), value);
                    }
                    if (!known) {
                        errors.add(at + " is " + value + ", expected " + schema.get("type"));
                    }
                }
                case "enum" -> {
                    boolean known = false;
                    for (JsonNode each : schema.get("enum")) {
                        known |= each.equals(value);
                    }
                    if (!known) {
                        errors.add(at + " is " + value + ", expected one of " + schema.get("enum"));
                    }
                }
                case "required" -> {
                    for (JsonNode name : schema.get("required")) {
                        if (value.isObject() && !value.has(name.asString())) {
                            errors.add(at + " has no " + name);
                        }
                    }
                }
                case "items" -> {
                    for (int i = 0; value.isArray() && i < value.size(); i++) {
                        check(schema.get("items"), root, value.get(i), at + "[" + i + "]", errors);
                    }
                }
                case "properties", "additionalProperties" -> {}
                case "$schema", "$defs", "title", "description" -> {}
                default -> errors.add("the schema uses '" + keyword + "', which this test does not know");
            }
        }
        if (value.isObject()) {
            JsonNode more = schema.get("additionalProperties");
            for (String name : value.propertyNames()) {
                JsonNode known =
                        schema.has("properties") ? schema.get("properties").get(name) : null;
                if (known != null) {
                    check(known, root, value.get(name), at + "." + name, errors);
                } else if (more != null && more.isObject()) {
                    check(more, root, value.get(name), at + "." + name, errors);
                } else if (more != null) {
                    errors.add(at + "." + name + " is not in the schema");
                }
            }
        }
    }

    private static boolean isOf(String type, JsonNode value) {
        return switch (type) {
            case "object" -> value.isObject();
            case "array" -> value.isArray();
            case "string" -> value.isString();
            case "integer" -> value.isIntegralNumber();
            case "boolean" -> value.isBoolean();
            case "null" -> value.isNull();
            default -> false;
        };
    }
}
