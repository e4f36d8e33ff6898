// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.type1;

/** What became of asking a domain to block no-snoop. */
public enum Enforcement {
    /** The domain has the control and blocks no-snoop, for good. */
    ENFORCED,
    /** The domain has the control and answered that it can't. */
    REFUSED,
    /** There is no such control: this family of domains has none, or it was before 5.19 and nobody asked. */
    ABSENT
}
