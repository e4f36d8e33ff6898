// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.util.Objects;
import org.iommu4j.host.Printable;

/** Text as it stands in HTML and in SVG. Text of a capture is untrusted and never becomes markup. */
public final class Markup {
    private Markup() {}

    /** Escapes a text. Characters outside ASCII become references, which are right in every locale. */
    public static String escape(String text) {
        Objects.requireNonNull(text, "text");
        String line = Printable.line(text);
        StringBuilder safe = new StringBuilder(line.length() + 16);
        line.codePoints().forEach(c -> {
            if (c >= 0x7f || "&<>\"'".indexOf(c) >= 0) {
                safe.append("&#").append(c).append(';');
            } else {
                safe.appendCodePoint(c);
            }
        });
        return safe.toString();
    }
}
