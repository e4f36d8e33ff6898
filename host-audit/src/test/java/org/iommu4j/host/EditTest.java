// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

/** A substitution does in Java what the argument of {@code sed} says that it makes. */
class EditTest {
    private final Edit edit = new Edit("a(b|/)c", "<\\1/>");

    @Test
    void itReplacesTheFirstMatchWithItsGroups() {
        assertThat(edit.first("xabcabc")).isEqualTo("x<b/>abc");
        assertThat(edit.first("ac")).isEqualTo("ac");
    }

    @Test
    void itReplacesUntilNoMatchIsLeft() {
        assertThat(edit.all("abca/cabd")).isEqualTo("<b/><//>abd");
        assertThat(new Edit("xy", "").all("xxyy"))
                .as("what a replacement joins")
                .isEmpty();
    }

    @Test
    void itAppliesWhereItMatchesAnywhere() {
        assertThat(edit.applies("--a/c--")).isTrue();
        assertThat(edit.applies("--a-c--")).isFalse();
    }

    @Test
    void quotedTextMatchesItselfAlone() {
        for (String text : new String[] {"AMD-Vi", "a.b", "(x)", "a|b", "[1]", "a*?+", "^$", "{2}", "a\\b"}) {
            assertThat(text).matches(Edit.quoted(text));
        }
        assertThat("axb").doesNotMatch(Edit.quoted("a.b"));
    }

    @Test
    void itsArgumentsOfSedQuoteTheSlash() {
        assertThat(edit.replace()).isEqualTo("-e 's/a(b|\\/)c/<\\1\\/>/'");
        assertThat(edit.replaceAndGo("x")).isEqualTo(edit.replace() + " -e tx");
        assertThat(edit.branch("x")).isEqualTo("-e '/a(b|\\/)c/bx'");
    }
}
