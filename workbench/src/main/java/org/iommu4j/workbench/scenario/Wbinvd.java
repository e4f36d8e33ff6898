// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

/** The effect of a guest's WBINVD. */
public enum Wbinvd {
    /** Nothing. */
    NOP,
    /** Caches are written back and invalidated. */
    EXECUTED
}
