// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.page;

import org.iommu4j.host.InputException;

/** A page whose form is right, but a name in it is of nothing, or of something else. No schema tells that. */
public final class PageReferenceException extends InputException {
    private static final long serialVersionUID = 1L;

    PageReferenceException(String message) {
        super(message);
    }
}
