// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.output;

import java.io.IOException;

/** Output can't be written, so the command ends. */
public final class OutputException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    OutputException(IOException cause) {
        super(cause);
    }
}
