// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.witness;

import java.io.PrintStream;
import org.junit.platform.launcher.LauncherSession;
import org.junit.platform.launcher.LauncherSessionListener;

/**
 * Prints the report of all witnesses when a build's last test JVM has run its tests: the JVM with the system property
 * {@value #PRINT}.
 */
public final class WitnessReport implements LauncherSessionListener {
    /** Name of the system property. */
    public static final String PRINT = "iommu4j.witness.print";

    /** Called by the ServiceLoader. */
    public WitnessReport() {}

    @Override
    public void launcherSessionClosed(LauncherSession session) {
        if (Boolean.getBoolean(PRINT)) {
            print(System.out);
        }
    }

    private static void print(PrintStream out) {
        out.println("Witnesses of this build (docs/testing.md):");
        for (String line : Witnesses.account()) {
            out.println("  " + line);
        }
    }
}
