// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.type1;

/** What became of asking a domain to block no-snoop. */
public enum Enforcement {
    /** The domain has the control and blocks no-snoop, for good. */
    ENFORCED,
    /** The domain has the control and answered that it can't. */
    REFUSED,
    /** This family of domains has no such control. */
    ABSENT
}
