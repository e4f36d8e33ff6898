// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.output;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class CsvTest {
    @ParameterizedTest
    @ValueSource(
            strings = {
                "=1+1",
                "+1",
                "-1",
                "@SUM(A1)",
                "\uff1d1",
                "\uff0b1",
                "\uff0d1",
                "\uff201",
                "\ufe621",
                "\u22121",
                " =1",
                "   +1",
                "\u00a0-1",
                "\u3000@1",
                " x",
                "\u3000x"
            })
    void whatWouldBecomeAFormulaBeginsWithAnApostrophe(String text) {
        assertThat(Csv.cell(text).replaceAll("^\"|\"$", "")).isEqualTo("'" + text);
    }

    /** A tab, a return or a line feed is no blank any more, but text. */
    @ParameterizedTest
    @CsvSource({"'\t=1', \\u0009=1", "'\r=1', \\u000d=1", "'a\n=1', a\\u000a=1", "'\u001b[31m', \\u001b[31m"})
    void aCellIsPrintable(String text, String cell) {
        assertThat(Csv.cell(text)).isEqualTo('"' + cell + '"');
    }

    @Test
    void behindASemicolonThatSeparatesElsewhereAFormulaIsTextToo() {
        assertThat(Csv.cell("a; =1;b-2")).isEqualTo("\"a;' =1;b-2\"");
    }

    @Test
    void whatIsNoFormulaIsLeftAlone() {
        assertThat(Csv.row(List.of("host-1", "6.8", "a, b", "say \"yes\"", "", "0000:01:00.0")))
                .isEqualTo("host-1,6.8,\"a, b\",\"say \"\"yes\"\"\",,0000:01:00.0\n");
    }
}
