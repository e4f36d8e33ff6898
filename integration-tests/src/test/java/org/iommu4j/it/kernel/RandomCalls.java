// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.kernel;

/** The calls of one interface of the kernel, as random sequences have them. */
interface RandomCalls {
    /** Adds what most programs begin with. */
    void begin();

    /** Adds a call; now and then more than one, or none. */
    void add();
}
