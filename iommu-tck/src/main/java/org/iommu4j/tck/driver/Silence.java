// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import org.iommu4j.platform.Waiter;
import org.iommu4j.spi.VendorContext;

/** Hardware that can stop answering: waits are time-outs then, and nothing happens in them. */
final class Silence {
    private boolean silent;

    /** Returns a context whose driver waits for such hardware. */
    VendorContext in(VendorContext context) {
        Waiter waiter = context.waiter();
        return context.withWaiter((condition, ticks) -> !silent && waiter.await(condition, ticks));
    }

    /** Does something while nothing is answered. */
    void during(Runnable work) {
        silent = true;
        try {
            work.run();
        } finally {
            silent = false;
        }
    }
}
