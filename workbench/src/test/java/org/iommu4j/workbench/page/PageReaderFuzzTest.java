// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.page;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import org.iommu4j.host.InputException;

/**
 * No text crashes the reader of pages or hangs it: it is a page, or refused in one line that names its line and column.
 *
 * <p>Without {@code JAZZER_FUZZ} the inputs that are checked in are tried, else new ones are made; CONTRIBUTING.md says
 * how.
 */
class PageReaderFuzzTest {
    @FuzzTest(maxDuration = "10m")
    void page(byte[] text) {
        Page page;
        try {
            page = PageReader.read("fuzz.yaml", text);
        } catch (InputException e) {
            assertThat(e.getMessage()).matches("fuzz\\.yaml:\\d+:\\d+: [^\\x00-\\x1f\\x7f]+");
            return;
        }
        // A page has steps, or programs of which each order is one.
        assertThat(page.steps().isEmpty()).isEqualTo(page.programs() != null);
    }
}
