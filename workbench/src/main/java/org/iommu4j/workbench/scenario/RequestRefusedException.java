// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

/** Ends a case whose device made a request that the IOMMU might refuse, and did. */
public final class RequestRefusedException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** Makes it; the message names the device, the address and the fault. */
    public RequestRefusedException(String message) {
        super(message);
    }
}
