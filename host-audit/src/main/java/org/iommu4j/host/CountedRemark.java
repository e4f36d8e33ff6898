// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.util.Objects;
import org.iommu4j.spi.KernelRemark;
import org.iommu4j.spi.Reason;

/**
 * A remark of a log, and how often the log has one of its kind for the same device with the same meaning.
 *
 * @param remark the first such
 * @param count how often, at least 1
 * @param time when the first was printed, such as {@code 312 s} after boot; empty where the line has no such stamp
 * @param source the input
 */
public record CountedRemark(KernelRemark remark, int count, String time, String source) {
    /** Refuses what is missing. */
    public CountedRemark {
        Objects.requireNonNull(remark, "remark");
        Objects.requireNonNull(time, "time");
        Objects.requireNonNull(source, "source");
    }

    /** Returns device, text, count and meaning in one line, with the meaning's source. */
    public Reason reason() {
        return new Reason(
                remark.device().map(device -> device + ": ").orElse("")
                        + remark.text()
                        + (count > 1 ? " (" + count + " times)" : "")
                        + ": " + remark.meaning().text(),
                remark.meaning().source());
    }

    /** Returns the remark as one that was found more often. */
    CountedRemark more(int times) {
        return new CountedRemark(remark, count + times, time, source);
    }
}
