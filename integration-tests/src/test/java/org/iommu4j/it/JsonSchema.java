// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.StringNode;

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
                case "oneOf" -> {
                    int fitting = 0;
                    for (JsonNode each : schema.get("oneOf")) {
                        List<String> its = new ArrayList<>();
                        check(each, root, value, at, its);
                        fitting += its.isEmpty() ? 1 : 0;
                    }
                    if (fitting != 1) {
                        errors.add(at + " fits " + fitting + " of the alternatives, expected one");
                    }
                }
                case "not" -> {
                    List<String> its = new ArrayList<>();
                    check(schema.get("not"), root, value, at, its);
                    require(!its.isEmpty(), keyword, at, errors);
                }
                case "pattern" -> {
                    String pattern = schema.get("pattern").asString();
                    if (value.isString()
                            && !Pattern.compile(pattern)
                                    .matcher(value.asString())
                                    .find()) {
                        errors.add(at + " is " + value + ", expected " + pattern);
                    }
                }
                case "propertyNames" -> {
                    for (String name : value.propertyNames()) {
                        check(schema.get("propertyNames"), root, StringNode.valueOf(name), at + "." + name, errors);
                    }
                }
                case "minimum" ->
                    require(!value.isNumber() || number(schema, keyword) <= value.asDouble(), keyword, at, errors);
                case "maximum" ->
                    require(!value.isNumber() || number(schema, keyword) >= value.asDouble(), keyword, at, errors);
                case "minLength" ->
                    require(!value.isString() || number(schema, keyword) <= characters(value), keyword, at, errors);
                case "maxLength" ->
                    require(!value.isString() || number(schema, keyword) >= characters(value), keyword, at, errors);
                case "minItems" ->
                    require(!value.isArray() || number(schema, keyword) <= value.size(), keyword, at, errors);
                case "minProperties" ->
                    require(!value.isObject() || number(schema, keyword) <= value.size(), keyword, at, errors);
                case "maxProperties" ->
                    require(!value.isObject() || number(schema, keyword) >= value.size(), keyword, at, errors);
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

    private static void require(boolean holds, String keyword, String at, List<String> errors) {
        if (!holds) {
            errors.add(at + " is against " + keyword);
        }
    }

    private static double number(JsonNode schema, String keyword) {
        return schema.get(keyword).asDouble();
    }

    private static int characters(JsonNode value) {
        return value.asString().codePointCount(0, value.asString().length());
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
