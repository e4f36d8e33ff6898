// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

/** A device's request was refused where the case had mapped memory for it: a broken driver or a broken unit. */
public final class UnexpectedFaultException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** Makes it; the message says which device, which address and which fault. */
    public UnexpectedFaultException(String message) {
        super(message);
    }
}
