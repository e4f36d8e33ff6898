// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.platform;

import java.util.Objects;

/** A firmware table that can't be read: its message says which table, at what offset, and what was expected. */
public final class MalformedTableException extends IllegalArgumentException {
    private static final long serialVersionUID = 1L;

    /**
     * Makes a refusal.
     *
     * @param signature the table
     * @param offset bytes from the table's start
     * @param message what is wrong and what was expected
     */
    public MalformedTableException(String signature, int offset, String message) {
        super(Objects.requireNonNull(signature, "signature") + " at offset 0x" + Integer.toHexString(offset) + ": "
                + Objects.requireNonNull(message, "message"));
    }
}
