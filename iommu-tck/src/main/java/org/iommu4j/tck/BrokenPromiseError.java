// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

/** A driver, its silicon or a port does not keep a promise; the message has the promise and how that was seen. */
public final class BrokenPromiseError extends AssertionError {
    private static final long serialVersionUID = 1L;

    /** Makes the error from the failure of a test. */
    BrokenPromiseError(String message, Throwable cause) {
        super(message, cause);
    }
}
