// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

/**
 * Ends a case that can't show its story. It is an answer, {@link org.iommu4j.sim.verdict.Verdict#NOT_APPLICABLE}, and
 * no failure.
 */
public final class NotApplicableException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final NotApplicable reason;

    /** Makes it; the message names what is missing, and where. */
    public NotApplicableException(NotApplicable reason, String message) {
        super(message);
        this.reason = reason;
    }

    /** Returns the reason. */
    public NotApplicable reason() {
        return reason;
    }
}
