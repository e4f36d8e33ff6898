// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import java.lang.reflect.Method;
import java.util.List;

/** A driver, its silicon or a port does not keep a promise; the message has the promise and how that was seen. */
public final class BrokenPromiseError extends AssertionError {
    private static final long serialVersionUID = 1L;

    private BrokenPromiseError(String message, Throwable cause) {
        super(message, cause);
    }

    /**
     * Makes the error from the failure of a test.
     *
     * @param test names the promises
     * @param by a line for the subject and for each ability that it lacks
     * @param again lines that say how to come to it again: the steps and the seed
     */
    static BrokenPromiseError of(Method test, List<String> by, Throwable failure, String again) {
        StringBuilder message = new StringBuilder("promise broken\n");
        for (String id : Promises.of(test)) {
            message.append("  [")
                    .append(id)
                    .append("] ")
                    .append(Promises.sentence(id))
                    .append('\n');
        }
        for (String line : by) {
            message.append(line).append('\n');
        }
        message.append(
                failure.getMessage() == null
                        ? failure.toString()
                        : failure.getMessage().strip());
        return new BrokenPromiseError(message.append(again).toString(), failure);
    }
}
