// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

/** What holds of a domain as such: its kind, sizes, aperture, translations, threads, its closing. */
public abstract class DomainContract {
    /** Made by JUnit. */
    protected DomainContract() {}
}
