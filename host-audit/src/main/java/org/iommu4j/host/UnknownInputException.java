// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

/** A file that is none of the inputs that are known; one that is, and is broken, is another refusal. */
public final class UnknownInputException extends InputException {
    private static final long serialVersionUID = 1L;

    /** Makes a refusal. */
    public UnknownInputException(String message) {
        super(message);
    }
}
