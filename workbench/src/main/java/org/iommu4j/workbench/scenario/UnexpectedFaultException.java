// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

/** A device's request was refused although the case had mapped memory for it: a broken driver or unit. */
public final class UnexpectedFaultException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** Makes it; the message names the device, the address and the fault. */
    public UnexpectedFaultException(String message) {
        super(message);
    }
}
