// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.iommu4j.platform.HardwareVirtualization;

/**
 * Reads which processors a host has: in a kernel's log, and as {@code /proc/cpuinfo} and {@code lscpu} print it.
 *
 * <p>The processor's maker decides between VMX and SVM, not the IOMMU's: QEMU emulates each beside any processor.
 *
 * <p>Source: Linux {@code smp_store_boot_cpu_info}, {@code print_cpu_info} (arch/x86), {@code show_cpuinfo}.
 */
final class Processors {
    /** Words of which each such line of a log has one. */
    static final List<String> WORDS = List.of("CPU0: ");

    private static final Pattern LOG =
            Pattern.compile("\\bCPU0: (?:(AMD|Hygon) |Intel\\(R\\)|Genuine Intel|VIA |ZHAOXIN )");

    /** Leaves of a message what is read of it. */
    static final Edit ESSENCE =
            new Edit("^(smpboot: )?(CPU0: (AMD |Hygon |Intel\\(R\\)|Genuine Intel|VIA |ZHAOXIN )).*$", "smpboot: \\2");

    private static final Pattern LISTING = Pattern.compile("^\\s{0,16}(?:vendor_id|Vendor ID)\\s{0,40}:\\s{1,40}"
            + "(?:(AuthenticAMD|HygonGenuine)|GenuineIntel|CentaurHauls|Shanghai)\\b");

    private Processors() {}

    /** Returns the extension of the processor that a line of a log names. */
    static Optional<HardwareVirtualization> ofLog(String line) {
        return of(LOG.matcher(line));
    }

    /** Returns the extension of the processor that a line of a listing names. */
    static Optional<HardwareVirtualization> ofListing(String line) {
        return of(LISTING.matcher(line));
    }

    private static Optional<HardwareVirtualization> of(Matcher maker) {
        return maker.find()
                ? Optional.of(maker.group(1) != null ? HardwareVirtualization.SVM : HardwareVirtualization.VMX)
                : Optional.empty();
    }
}
