// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.page;

import java.util.List;

/**
 * One step of a page.
 *
 * @param actor the name of the one that acts
 * @param verb what it does
 * @param arguments the words that stand where the verb's form has capitals
 * @param line the line of the page, from 1
 */
public record Step(String actor, Verb verb, List<String> arguments, int line) {
    /** Copies the list. */
    public Step {
        arguments = List.copyOf(arguments);
    }

    /** Returns what the actor does, as a page says it. */
    public String words() {
        return verb.words(arguments);
    }

    /** Returns an argument. */
    public String argument(int index) {
        return arguments.get(index);
    }
}
