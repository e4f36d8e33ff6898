// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.host;

/** Input that can't be used; the message is one line that says what, where and what was expected. */
public class InputException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** Makes a refusal. */
    public InputException(String message) {
        super(message);
    }

    /** Makes a refusal with what caused it. */
    public InputException(String message, Throwable cause) {
        super(message, cause);
    }
}
