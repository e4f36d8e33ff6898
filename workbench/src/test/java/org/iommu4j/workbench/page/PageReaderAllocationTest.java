// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.page;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import org.iommu4j.host.InputException;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PageReaderAllocationTest {
    /** A line as long as a page may be takes no more than its length, times a constant. */
    @ParameterizedTest
    @ValueSource(strings = {"#", "case: ", "case: '", "case: \"", "? "})
    void aLongLineIsNotCopiedManyTimes(String start) {
        byte[] page = (start + "x".repeat(YamlNodes.MAX_BYTES - 20)).getBytes(StandardCharsets.UTF_8);
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        long before = threads.getCurrentThreadAllocatedBytes();
        assertThatExceptionOfType(InputException.class).isThrownBy(() -> PageReader.read("long.yaml", page));
        assertThat(threads.getCurrentThreadAllocatedBytes() - before).isLessThan(100L * YamlNodes.MAX_BYTES);
    }
}
