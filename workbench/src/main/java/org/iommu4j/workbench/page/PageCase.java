// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.page;

import java.util.Optional;
import org.iommu4j.host.InputException;
import org.iommu4j.workbench.scenario.Case;
import org.iommu4j.workbench.scenario.Outcome;
import org.iommu4j.workbench.scenario.Scenario;

/**
 * A page as a case.
 *
 * @param page the page
 */
public record PageCase(Page page) implements Case {
    @Override
    public String name() {
        return page.name();
    }

    @Override
    public String about() {
        return page.about();
    }

    @Override
    public boolean needsSecondDevice() {
        return page.actors().values().stream()
                .anyMatch(actor -> actor instanceof Actor.Device device && device.which() == Actor.Which.SECOND);
    }

    /**
     * {@inheritDoc}
     *
     * @throws InputException when a step asks for what is not there at that moment, by its line; when the page has
     *     programs
     */
    @Override
    public void run(Scenario scenario) {
        if (page.programs() != null) {
            throw new InputException(
                    page.file() + ":1:1: a page with programs has no one order of steps; 'iommu4j explore' tries all");
        }
        new Stage(page, scenario).run();
    }

    @Override
    public Optional<String> unexpected(Outcome outcome, Scenario scenario) {
        return page.expectation(outcome.machine(), outcome.linux())
                .flatMap(expected -> expected.difference(outcome, actor -> Stage.label(page, scenario, actor)));
    }
}
