// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

/** A file of no known kind of input; a broken file of a known kind is an {@link InputException} of its own. */
public final class UnknownInputException extends InputException {
    private static final long serialVersionUID = 1L;

    /** Makes a refusal. */
    public UnknownInputException(String message) {
        super(message);
    }
}
