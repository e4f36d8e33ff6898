// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import org.iommu4j.tck.Requester;

/** How an attached device makes its requests. */
final class Attached {
    private Attached() {}

    /** Returns whether a device asks for translations and keeps them, so that it refuses by itself. */
    static boolean cachesTranslations(Requester requester) {
        return requester instanceof Requester.OnPci pci
                && pci.endpoint().config().atsEnabled();
    }
}
