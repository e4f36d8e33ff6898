// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.report;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.LinuxRelease;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.workbench.Workbench;
import org.iommu4j.workbench.scenario.Case;
import org.iommu4j.workbench.scenario.Outcome;

/** Runs of the built-in cases, as reports show them. */
final class Library {
    /** Releases between which most rules changed. */
    private static final List<LinuxRelease> RELEASES =
            List.of(LinuxRelease.known().get(0), new LinuxRelease(6, 1), LinuxRelease.NEWEST);

    /** Every case on every built-in machine under three releases; made once. */
    static final List<Outcome> RUNS = runs();

    private Library() {}

    /** Returns a run of the newest release. */
    static Outcome run(String story, String machine) {
        Workbench workbench = Workbench.create();
        return workbench
                .runner()
                .run(workbench.caseNamed(story), workbench.machines().named(machine), LinuxRelease.NEWEST);
    }

    /** Returns what a run is, for messages of tests. */
    static String name(Outcome outcome) {
        return RunHtml.title(outcome);
    }

    private static List<Outcome> runs() {
        Workbench workbench = Workbench.create();
        List<Outcome> runs = new ArrayList<>();
        for (Case story : workbench.cases()) {
            for (MachineDescription machine : workbench.machines().builtIn()) {
                RELEASES.forEach(release -> runs.add(workbench.runner().run(story, machine, release)));
            }
        }
        return runs;
    }
}
