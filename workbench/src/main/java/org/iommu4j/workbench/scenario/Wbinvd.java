// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

/** What a guest's WBINVD does. */
public enum Wbinvd {
    /** Nothing. */
    NOP,
    /** Caches are really written back and invalidated. */
    EXECUTED
}
