// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

/** What became of the question whether a domain can block no-snoop. */
public enum Enforcement {
    /** Asked and granted. */
    ENFORCED,
    /** Asked and refused. */
    REFUSED,
    /** The domain has no such control. */
    ABSENT,
    /** Nobody asked. */
    NOT_ASKED
}
