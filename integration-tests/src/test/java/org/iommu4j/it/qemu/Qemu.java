// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.qemu;

import static org.assertj.core.api.Assertions.fail;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Assumptions;

/**
 * The QEMU that the tests talk to: {@code qemu-system-x86_64} of the path, or the one that {@code -Diommu4j.qemu} names.
 *
 * <p>Where there is none a test is skipped, or fails under {@code -Diommu4j.qemu.required=true}.
 *
 * @param binary what to start
 * @param major version, for example 7
 * @param minor version, for example 2
 */
record Qemu(String binary, int major, int minor) {
    private static final String BINARY = "iommu4j.qemu";
    private static final String REQUIRED = "iommu4j.qemu.required";
    private static final Pattern VERSION = Pattern.compile("version (\\d+)\\.(\\d+)");

    /** Returns the installed QEMU; without one the calling test ends here. */
    static Qemu installed() {
        String binary = System.getProperty(BINARY, "qemu-system-x86_64");
        String problem;
        try {
            Process process = new ProcessBuilder(binary, "--version")
                    .redirectErrorStream(true)
                    .start();
            process.getOutputStream().close();
            String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            int status = process.waitFor();
            Matcher version = VERSION.matcher(text);
            if (status == 0 && version.find()) {
                return new Qemu(binary, Integer.parseInt(version.group(1)), Integer.parseInt(version.group(2)));
            }
            problem = "it answered '" + text.strip() + "'";
        } catch (IOException e) {
            problem = String.valueOf(e.getMessage());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            problem = "interrupted";
        }
        String message = "no QEMU at '" + binary + "' (" + problem + "): install qemu-system-x86 or name one by -D"
                + BINARY + "=PATH";
        if (Boolean.getBoolean(REQUIRED)) {
            fail(message + "; -D" + REQUIRED + "=true asks for it");
        }
        Assumptions.abort(message);
        throw new AssertionError("not reached");
    }

    /** Returns whether it is this version or a later one. */
    boolean isAtLeast(int thatMajor, int thatMinor) {
        return major > thatMajor || (major == thatMajor && minor >= thatMinor);
    }

    @Override
    public String toString() {
        return "QEMU " + major + "." + minor;
    }
}
