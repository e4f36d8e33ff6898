// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.util.regex.Pattern;

/**
 * A substitution in a line, written so that Java and {@code sed -E} understand it alike; {@link CaptureScript} gives it
 * to {@code sed}.
 *
 * <p>It is an extended regular expression of POSIX without classes such as {@code [:space:]}, without {@code [} inside
 * brackets, and without an apostrophe. Its lines are printable ASCII, and a blank is the only white space in them.
 */
final class Edit {
    private final String extended;
    private final String replacement;
    private final Pattern pattern;
    private final String javaReplacement;

    /**
     * Makes a substitution.
     *
     * @param extended the regular expression
     * @param replacement has {@code \1} for the first group
     */
    Edit(String extended, String replacement) {
        this.extended = extended;
        this.replacement = replacement;
        this.pattern = Pattern.compile(extended);
        this.javaReplacement = replacement.replaceAll("\\\\(\\d)", "\\$$1");
    }

    /** Returns an extended regular expression that matches a text alone. */
    static String quoted(String text) {
        return text.replaceAll("[.*+?^$()|{\\[\\\\]", "\\\\$0");
    }

    /** Returns the regular expression. */
    String extended() {
        return extended;
    }

    /** Returns whether it would change a line. */
    boolean applies(String line) {
        return pattern.matcher(line).find();
    }

    /** Returns a line with the first match replaced. */
    String first(String line) {
        return pattern.matcher(line).replaceFirst(javaReplacement);
    }

    /** Returns a line with matches replaced until none is left. */
    String all(String line) {
        String edited = line;
        while (applies(edited)) {
            edited = first(edited);
        }
        return edited;
    }

    /** Returns the argument of {@code sed} that goes to a label, or to the end, with a line that has a match. */
    String branch(String label) {
        return "-e '/" + extended.replace("/", "\\/") + "/b" + label + "'";
    }

    /** Returns the arguments of {@code sed} that replace the first match, and go on at a label, or the end, if any. */
    String replaceAndGo(String label) {
        return replace() + " -e t" + label;
    }

    /** Returns the argument of {@code sed} that replaces the first match. */
    String replace() {
        return "-e 's/" + extended.replace("/", "\\/") + "/" + replacement.replace("/", "\\/") + "/'";
    }
}
