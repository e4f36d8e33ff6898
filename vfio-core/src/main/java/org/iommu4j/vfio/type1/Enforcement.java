// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.type1;

/** The result of asking a domain to block no-snoop. */
public enum Enforcement {
    /** The domain has the control and blocks no-snoop permanently. */
    ENFORCED,
    /** The domain has the control and answered that it can't. */
    REFUSED,
    /**
     * There is no such control: this family of domains has none, or the release is before 5.19, where VFIO did not ask.
     */
    ABSENT
}
