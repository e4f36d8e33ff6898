// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.util.Optional;
import java.util.regex.Pattern;

/**
 * Operating systems that are not Linux, by lines that only their own logs and tools print.
 *
 * <p>They have IOMMUs too, and other rules. A line that a Linux may hold as well, such as the name of a virtual
 * machine's maker, is none of these.
 */
enum OtherSystem {
    /** {@code vmkernel.log}, {@code vmware -v}, {@code esxcli hardware pci list}. */
    ESXI(
            "VMware ESXi",
            "^\\s{0,8}VMware ESXi? \\d|^\\s{0,8}VMware ESX Server \\d"
                    + "|^(?:\\S{1,40} )?(?:TSC: \\d{1,20} )?cpu\\d{1,4}:\\d{1,10}(?: opID=\\w{1,16})?\\)"
                    + "|^\\s{2,8}VMkernel Name: |^\\s{2,8}Configured Owner: VMkernel|^\\S{1,40} vmkernel: "),
    /** {@code ver}, {@code systeminfo}, {@code Get-PnpDevice}. */
    WINDOWS(
            "Windows",
            "^Microsoft Windows \\[Version |^OS Name: {1,40}Microsoft Windows|^Windows PowerShell$"
                    + "|^PS [A-Z]:\\\\|^(?:InstanceId|PNPDeviceID|DeviceID)\\s{0,20}[:=] ?PCI\\\\VEN_"
                    + "|^\\s{0,8}(?:\\S{1,20}\\s{1,20}){0,4}PCI\\\\VEN_[0-9A-Fa-f]{4}&DEV_"),
    /** Its {@code dmesg}, {@code uname -a}, {@code pciconf -l}. */
    FREEBSD(
            "FreeBSD",
            "^(?:\\[[^\\]]{1,20}\\] )?Copyright \\(c\\) 1992-\\d{4} The FreeBSD Project"
                    + "|^(?:\\[[^\\]]{1,20}\\] )?FreeBSD \\d{1,2}\\.\\d{1,2}-[A-Z]|^FreeBSD \\S{1,64} "
                    + "\\d{1,2}\\.\\d{1,2}-[A-Z]"
                    + "|^\\w{1,16}\\d{1,4}@pci\\d{1,5}:\\d{1,3}:\\d{1,2}:\\d:\\s"),
    /** Its {@code dmesg} and {@code uname -a}. */
    OPENBSD("OpenBSD", "^OpenBSD \\d\\.\\d{1,2}(?:-\\w{1,16})? \\(|^OpenBSD \\S{1,64} \\d\\.\\d{1,2} "),
    /** Its {@code dmesg} and {@code uname -a}. */
    NETBSD("NetBSD", "^(?:\\[[^\\]]{1,20}\\] )?NetBSD \\d{1,2}\\.\\d{1,2}|^NetBSD \\S{1,64} \\d{1,2}\\.\\d{1,2} "),
    /** Its log, {@code uname -a}, {@code sw_vers}, {@code system_profiler}. */
    MACOS(
            "macOS",
            "^(?:.{0,80}: )?Darwin Kernel Version \\d|^Darwin \\S{1,64} "
                    + "\\d{1,2}\\.|^ProductName:\\s{1,8}(?:macOS|Mac OS X)"
                    + "|^\\s{2,8}System Version: (?:macOS|OS X) |^(?:.{0,80} )?kernel\\[0\\]: .{0,80}AppleVTD"),
    /** {@code uname -a} and the log of illumos and Solaris. */
    SOLARIS("Solaris or illumos", "^(?:.{0,80} )?SunOS Release 5\\.|^SunOS \\S{1,64} 5\\.");

    private final String title;
    private final Pattern lines;

    OtherSystem(String title, String lines) {
        this.title = title;
        this.lines = Pattern.compile(lines);
    }

    /** Returns the system's name for people. */
    String title() {
        return title;
    }

    /** Returns the system that prints a line, empty where a Linux may print it. */
    static Optional<OtherSystem> of(String line) {
        for (OtherSystem system : values()) {
            if (system.lines.matcher(line).lookingAt()) {
                return Optional.of(system);
            }
        }
        return Optional.empty();
    }

    /**
     * Refuses an input that another system printed.
     *
     * @throws UnknownInputException when a line is another system's, and names it
     */
    static void refuse(String input, String line) {
        of(line).ifPresent(system -> {
            throw new UnknownInputException(input + ": is of " + system.title
                    + ", whose rules for IOMMUs are not Linux's, expected inputs of a host with Linux");
        });
    }
}
