// SPDX-License-Identifier: Apache-2.0
package com.example.minimal;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.iommu4j.spi.KernelLog;

/** What the driver prints in a kernel, for audits of hosts. */
final class MinimalKernelLog implements KernelLog {
    private static final Pattern UNIT =
            Pattern.compile("minimal: (minimal\\d): registers at 0x([0-9a-f]{1,16}), CAP 0x([0-9a-f]{1,16})");

    @Override
    public List<String> words() {
        return List.of("minimal: ");
    }

    @Override
    public void read(String line, Findings findings) {
        Objects.requireNonNull(findings, "findings");
        Matcher unit = UNIT.matcher(line);
        if (unit.find()) {
            OptionalLong base = OptionalLong.of(Long.parseUnsignedLong(unit.group(2), 16));
            findings.unit(unit.group(1), base, Map.of("CAP", Long.parseUnsignedLong(unit.group(3), 16)));
        } else if (line.contains("minimal: interrupts are remapped")) {
            findings.interruptRemapping(true);
        } else if (line.contains("minimal: translating")) {
            findings.inUse(true);
        }
    }
}
