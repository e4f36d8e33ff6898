// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

/** The answer to a request that a domain block no-snoop. */
public enum Enforcement {
    /** Asked and granted. */
    ENFORCED,
    /** Asked and refused. */
    REFUSED,
    /** The domain has no such control. */
    ABSENT,
    /** Not asked. */
    NOT_ASKED
}
