// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.minimal;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.iommu4j.spi.KernelLog;

/** Step two, for whose hosts are asked about: what the driver prints. */
final class MinimalKernelLog implements KernelLog {
    private static final Pattern UNIT =
            Pattern.compile("minimal: (mini\\d): registers at 0x([0-9a-f]+), FEAT 0x([0-9a-f]+)");

    @Override
    public List<String> words() {
        return List.of("minimal: ");
    }

    @Override
    public void read(String line, Findings findings) {
        Objects.requireNonNull(findings, "findings");
        Matcher unit = UNIT.matcher(line);
        if (unit.find()) {
            findings.unit(
                    unit.group(1),
                    OptionalLong.of(Long.parseLong(unit.group(2), 16)),
                    Map.of("FEAT", Long.parseLong(unit.group(3), 16)));
        } else if (line.contains("interrupts are remapped")) {
            findings.interruptRemapping(true);
        } else if (line.contains("translating")) {
            findings.inUse(true);
        }
    }
}
