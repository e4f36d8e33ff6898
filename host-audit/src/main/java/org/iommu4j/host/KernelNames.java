// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Reads what tools print about the running kernel: {@code uname -a}, {@code hostnamectl}, {@code inxi} and
 * {@code pveversion}, and the command line as {@code /proc/cmdline} has it. Recognizes the processors' maker too.
 */
final class KernelNames {
    /** A release begins with two numbers; longer than Linux's {@code UTS_RELEASE} is none. */
    static final String RELEASE = "(\\d{1,2}\\.\\d{1,3}[\\w.+~-]{0,60})";

    private static final Pattern UNAME =
            Pattern.compile("^\\s{0,16}Linux \\S{1,64} " + RELEASE + " (?:#\\d|.{0,200}\\bGNU/Linux)");
    private static final Pattern LABELLED =
            Pattern.compile("(?:^|[\\s(])(?:K|running k)ernel: (?:Linux )?" + RELEASE + "(?:[\\s)]|$)");
    private static final Pattern COMMAND_LINE = Pattern.compile("^\\s{0,16}(BOOT_IMAGE=\\S+ .*)$");
    private static final Pattern BOOT_IMAGE = Pattern.compile(
            "(?:^|\\s)BOOT_IMAGE=(?:\\S{0,200}/)?(?:vmlinu[xz]|bzImage|kernel)-" + RELEASE + "(?:\\s|$)");

    private KernelNames() {}

    /** Returns whether a line names the kernel or the processors. */
    static boolean recognises(String line) {
        return release(line).isPresent()
                || commandLine(line).isPresent()
                || Processors.ofListing(line).isPresent();
    }

    /** Returns the release that a line names. */
    static Optional<String> release(String line) {
        return first(UNAME, line).or(() -> first(LABELLED, line));
    }

    /** Returns the command line that a line is. */
    static Optional<String> commandLine(String line) {
        return first(COMMAND_LINE, line).map(String::strip);
    }

    private static Optional<String> first(Pattern pattern, String line) {
        Matcher matcher = pattern.matcher(line);
        return matcher.find() ? Optional.of(matcher.group(1)) : Optional.empty();
    }

    /** Returns the release by which a boot loader's entry calls the kernel that it loads. */
    static Optional<String> ofCommandLine(String commandLine) {
        return first(BOOT_IMAGE, commandLine).map(release -> release.replaceFirst("\\.(?:efi|img)$", ""));
    }
}
