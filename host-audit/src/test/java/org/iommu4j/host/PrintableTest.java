// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class PrintableTest {
    private static final String TITLE = "Intel Corporation é 漢 😀";

    @Test
    void printableTextIsTheSameObject() {
        assertThat(Printable.line(TITLE)).isSameAs(TITLE);
        assertThat(Printable.tabbed(TITLE)).isSameAs(TITLE);
    }

    @Test
    void whatATerminalObeysOrAReaderDoesNotSeeIsEscaped() {
        assertThat(Printable.line("a\u001b[31mb\nc\u007f\u0085\u200e\u2028"))
                .isEqualTo("a\\u001b[31mb\\u000ac\\u007f\\u0085\\u200e\\u2028");
        assertThat(Printable.line("x\ud800y")).isEqualTo("x\\ud800y");
        assertThat(Printable.line("\udb40\udc01")).isEqualTo("\\udb40\\udc01");
    }

    @Test
    void onlyTheTabbedFormKeepsTabs() {
        assertThat(Printable.line("a\tb\u001b")).isEqualTo("a\\u0009b\\u001b");
        assertThat(Printable.tabbed("a\tb\u001b")).isEqualTo("a\tb\\u001b");
    }

    @Test
    void escapedTextIsPrintableAndStaysAsItIs() {
        String once = Printable.line("\u001b\t");
        assertThat(Printable.line(once)).isSameAs(once);
    }

    /** Vendors are promised lines of at most so many characters; an escape has six. */
    @Test
    void aLineOfEscapesIsNoLongerThanAnyOther() {
        String escapes = "\u0001".repeat(TextLines.MAX_LINE);
        assertThat(TextLines.printable(escapes)).hasSize(TextLines.MAX_LINE).startsWith("\\u0001\\u0001");
    }

    @Test
    void aLongTextIsCutWithTwoDots() {
        assertThat(Printable.cut("abcdef", 6)).isEqualTo("abcdef");
        assertThat(Printable.cut("abcdefg", 6)).isEqualTo("abcd..");
    }
}
