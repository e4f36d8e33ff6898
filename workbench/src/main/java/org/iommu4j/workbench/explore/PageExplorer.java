// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.explore;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.BooleanSupplier;
import org.iommu4j.IommuException;
import org.iommu4j.explorer.Bounds;
import org.iommu4j.explorer.Exploration;
import org.iommu4j.explorer.Report;
import org.iommu4j.explorer.Settings;
import org.iommu4j.explorer.TransitionSystem;
import org.iommu4j.explorer.Violation;
import org.iommu4j.host.InputException;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.workbench.page.Page;
import org.iommu4j.workbench.page.PageCase;
import org.iommu4j.workbench.page.Programs;
import org.iommu4j.workbench.page.Step;
import org.iommu4j.workbench.page.Verb;
import org.iommu4j.workbench.scenario.CaseRunner;
import org.iommu4j.workbench.scenario.Kernel;
import org.iommu4j.workbench.scenario.NotApplicableException;
import org.iommu4j.workbench.scenario.Outcome;
import org.iommu4j.workbench.scenario.UnexpectedFaultException;

/** Explores a page on a machine, and makes an ordinary page of what it finds. */
public final class PageExplorer {
    private final CaseRunner runner;
    private final Page page;
    private final Script script;
    private final MachineDescription machine;
    private final Kernel kernel;
    private final Set<Programs.Property> never;

    /**
     * Prepares an exploration; a machine is made later.
     *
     * @param runner makes machines
     * @param page has programs
     * @param kernel the release, and corrections to try
     * @param never what must not be, in place of what the page says; empty for the page's own
     * @throws InputException when the page has no programs, or more values than a state can hold
     */
    public PageExplorer(
            CaseRunner runner, Page page, MachineDescription machine, Kernel kernel, Set<Programs.Property> never) {
        this.runner = Objects.requireNonNull(runner, "runner");
        this.page = Objects.requireNonNull(page, "page");
        this.machine = Objects.requireNonNull(machine, "machine");
        this.kernel = Objects.requireNonNull(kernel, "kernel");
        script = new Script(page);
        this.never = new TreeSet<>(never.isEmpty() ? script.programs.never() : never);
    }

    /**
     * Opens a transition system of the page, for the thread that calls.
     *
     * @throws InputException when the page can't be explored on this machine
     * @throws NotApplicableException when the machine or the release lacks what the page needs
     * @throws IommuException when the system refuses to set the page up
     */
    public TransitionSystem open() {
        return system();
    }

    private PageSystem system() {
        return new PageSystem(
                script, () -> new LiveWorld(script, runner.open(new PageCase(page), machine, kernel)), never);
    }

    /**
     * Explores.
     *
     * @param stop asked now and then; if it answers true, what was covered is the answer
     * @throws InputException as {@link #open}
     * @throws NotApplicableException as {@link #open}
     * @throws IommuException as {@link #open}
     */
    public Report explore(Settings settings, Bounds bounds, BooleanSupplier stop) {
        try (Exploration exploration = new Exploration(this::open, settings)) {
            return exploration.run(bounds, stop);
        }
    }

    /**
     * Returns the steps to a violation as a page with steps. Two steps of a WBINVD with nothing between them are one,
     * and a read that the IOMMU refuses is tried.
     *
     * @param violation of an exploration of this page
     */
    public Page found(Violation violation) {
        PageSystem system = system();
        List<Step> steps = new ArrayList<>();
        for (int action : violation.actions()) {
            Step step = system.stepOf(action);
            int last = steps.size() - 1;
            if (step.verb() == Verb.END_WBINVD
                    && steps.get(last).verb() == Verb.BEGIN_WBINVD
                    && steps.get(last).actor().equals(step.actor())) {
                steps.set(last, new Step(step.actor(), Verb.WBINVD, List.of(), step.line()));
            } else {
                steps.add(step);
            }
            system.apply(action);
            if (step.verb() == Verb.READ && system.live().refused) {
                steps.set(steps.size() - 1, new Step(step.actor(), Verb.TRY_READ, step.arguments(), step.line()));
            }
        }
        return page.withSteps(steps);
    }

    /**
     * Runs a page with steps on the machine under the kernel of this exploration.
     *
     * @throws InputException when the system refuses a step after other DMA, so that a run has no one answer
     * @throws UnexpectedFaultException when the IOMMU refuses a write
     */
    public Outcome run(Page steps) {
        return runner.run(new PageCase(steps), machine, kernel, List.of());
    }
}
