// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.output;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import org.iommu4j.host.Printable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PrintableWriterTest {
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

    private String written(Charset charset, boolean colours, String... parts) {
        PrintWriter writer = new PrintWriter(new PrintableWriter(bytes, charset, colours));
        for (String part : parts) {
            writer.print(part);
        }
        writer.flush();
        return bytes.toString(charset);
    }

    /** Escape, bell, return, C1's CSI, direction and width, separators, tags, private use, what is no character. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "\u001b", "\u0007", "\r", "\t", "\0", "\u007f", "\u009b", "\u0085", "\u202e", "\u2066", "\u200b",
                "\ufeff", "\u00ad", "\u061c", "\u2028", "\u2029", "\ue000", "\uffff", "\ufdd0", "\ud800", "\udc00"
            })
    void whatATerminalWouldObeyOrHideIsAnEscape(String text) {
        String escape = String.format("\\u%04x", (int) text.charAt(0));
        assertThat(Printable.line("a" + text + "b")).isEqualTo("a" + escape + "b");
        assertThat(written(StandardCharsets.UTF_8, true, "a" + text + "b")).isEqualTo("a" + escape + "b");
    }

    @Test
    void beyondTheFirst65536CharactersAnEscapeIsTwo() {
        assertThat(Printable.line("\udb40\udc41")).isEqualTo("\\udb40\\udc41");
        assertThat(written(StandardCharsets.UTF_8, false, "\udb40\udc41")).isEqualTo("\\udb40\\udc41");
    }

    @Test
    void whatPeopleWriteStaysAsItIs() {
        String text = "Grafik äöü \u4e2d\u6587 \ud83d\ude00 'a\\b' 100%";
        assertThat(Printable.line(text)).isSameAs(text);
        assertThat(written(StandardCharsets.UTF_8, false, text + "\n")).isEqualTo(text + "\n");
    }

    @Test
    void aLineHasNoLineFeed() {
        assertThat(Printable.line("a\nb")).isEqualTo("a\\u000ab");
        assertThat(written(StandardCharsets.UTF_8, false, "a\nb\n")).isEqualTo("a\nb\n");
    }

    @Test
    void coloursPassWhereTheyAreWantedAndNothingElseThatBeginsLikeThem() {
        String[] colour = {"\u001b[1;31mred\u001b[0m\n"};
        assertThat(written(StandardCharsets.UTF_8, true, colour)).isEqualTo(colour[0]);
        bytes.reset();
        assertThat(written(StandardCharsets.UTF_8, false, colour)).isEqualTo("\\u001b[1;31mred\\u001b[0m\n");
        bytes.reset();
        assertThat(written(StandardCharsets.UTF_8, true, "\u001b[2J\u001b[?25l\u001b]0;title\u001b[31", "\n"))
                .isEqualTo("\\u001b[2J\\u001b[?25l\\u001b]0;title\\u001b[31\n");
    }

    @Test
    void whatTheCharsetLacksIsAnEscapeThatJsonReads() {
        assertThat(written(StandardCharsets.US_ASCII, false, "\"ä\ud83d\ude00\""))
                .isEqualTo("\"\\u00e4\\ud83d\\ude00\"");
        bytes.reset();
        assertThat(written(StandardCharsets.ISO_8859_1, false, "ä\u20ac")).isEqualTo("ä\\u20ac");
    }

    @Test
    void aCharsetThatWritesAsciiOtherwiseIsNotUsed() {
        written(StandardCharsets.UTF_16BE, false, "a\n");
        assertThat(bytes.toByteArray()).containsExactly('a', '\n');
    }

    @Test
    void aPairThatIsWrittenByHalvesIsOneCharacter() {
        assertThat(written(StandardCharsets.UTF_8, false, "\ud83d", "\ude00\n")).isEqualTo("\ud83d\ude00\n");
    }

    @Test
    void textOfAnyLengthArrivesWhole() {
        String text = "0123456789abcde\n".repeat(5000) + "x".repeat(20_000);
        assertThat(written(StandardCharsets.UTF_8, false, text)).isEqualTo(text);
    }

    /** Takes so many bytes and then none, as a full disk or a closed pipe. */
    private static final class Limited extends OutputStream {
        private int left;

        Limited(int left) {
            this.left = left;
        }

        @Override
        public void write(int b) throws IOException {
            if (left-- <= 0) {
                throw new IOException("No space left on device");
            }
        }
    }

    @Test
    void aStreamThatTakesNoMoreEndsTheWork() {
        PrintableWriter writer = new PrintableWriter(new Limited(10_000), StandardCharsets.UTF_8, false);
        PrintWriter printer = new PrintWriter(writer);
        assertThatExceptionOfType(OutputException.class).isThrownBy(() -> {
            for (int i = 0; i < 2000; i++) {
                printer.println("0123456789");
            }
        });
        assertThat(writer.failure()).hasMessage("No space left on device");
        assertThatExceptionOfType(OutputException.class).isThrownBy(printer::flush);
    }
}
