// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.output;

import tools.jackson.core.json.JsonWriteFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.SerializationFeature;
import tools.jackson.databind.json.JsonMapper;

/** JSON as text; all of it is ASCII, so that it is right whatever the locale. */
public final class Json {
    private static final JsonMapper LINE =
            JsonMapper.builder().enable(JsonWriteFeature.ESCAPE_NON_ASCII).build();
    private static final JsonMapper PAGE =
            LINE.rebuild().enable(SerializationFeature.INDENT_OUTPUT).build();

    private Json() {}

    /** Returns a value in one line. */
    public static String line(JsonNode value) {
        return LINE.writeValueAsString(value);
    }

    /** Returns a tree, or a record of values, indented, in many lines. */
    public static String page(Object value) {
        return PAGE.writeValueAsString(value);
    }
}
