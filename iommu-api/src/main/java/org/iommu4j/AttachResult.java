// SPDX-License-Identifier: Apache-2.0
package org.iommu4j;

import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The answer to an attempt to attach: attached, or not compatible and why.
 *
 * <p>Incompatible is Linux's soft {@code -EINVAL}: an ordinary answer on which the caller may try another domain.
 * Hard failures are {@link IommuException}s.
 *
 * @param reason why the domain and the device do not fit, or null when attached
 */
public record AttachResult(@Nullable String reason) {
    /** The device now uses the domain. */
    public static final AttachResult ATTACHED = new AttachResult(null);

    /** Makes the answer that this device can't use this domain: see {@link IommuDomain#attach}. */
    public static AttachResult incompatible(String reason) {
        return new AttachResult(Objects.requireNonNull(reason, "reason"));
    }

    /** Returns whether the device now uses the domain. */
    public boolean attached() {
        return reason == null;
    }
}
