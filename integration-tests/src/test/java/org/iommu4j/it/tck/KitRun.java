// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.iommu4j.tck.Promises;
import org.junit.platform.engine.DiscoverySelector;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.testkit.engine.EngineExecutionResults;
import org.junit.platform.testkit.engine.EngineTestKit;
import org.junit.platform.testkit.engine.Event;

/**
 * Runs tests of a kit where something is broken.
 *
 * @param kit which tests there are
 * @param where does something while it is broken
 */
record KitRun(KitIndex kit, Consumer<Runnable> where) {
    /** Asserts that some test of a promise fails, and that a failure has the promise. */
    void assertCaught(String promise, String about) {
        assertThat(failures(promise))
                .as("failures with %s", about)
                .isNotEmpty()
                .anySatisfy(message -> assertThat(message).contains("[" + promise + "] " + Promises.sentence(promise)));
    }

    /** Asserts that no test of a promise fails. */
    void assertNothingFound(String promise) {
        assertThat(failures(promise)).isEmpty();
    }

    /** Returns the messages of failures of a promise's tests. */
    List<String> failures(String promise) {
        return failures(promise, Map.of());
    }

    /** Returns the messages of failures of a promise's tests, run with some of JUnit's configuration parameters. */
    List<String> failures(String promise, Map<String, String> parameters) {
        List<DiscoverySelector> tests = kit.tests(promise);
        assertThat(tests).as("tests of the promise").isNotEmpty();
        EngineExecutionResults[] results = new EngineExecutionResults[1];
        where.accept(() -> results[0] = EngineTestKit.engine("junit-jupiter")
                .configurationParameter("iommu4j.tck.report.off", "true")
                .configurationParameters(parameters)
                .selectors(tests.toArray(DiscoverySelector[]::new))
                .execute());
        return results[0].allEvents().failed().stream().map(KitRun::message).toList();
    }

    private static String message(Event event) {
        return event.getRequiredPayload(TestExecutionResult.class)
                .getThrowable()
                .map(Throwable::getMessage)
                .orElse("");
    }
}
