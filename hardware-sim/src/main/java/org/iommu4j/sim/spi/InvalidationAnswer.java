// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.spi;

/** What comes of an ATS invalidation request. */
public enum InvalidationAnswer {
    /** The device has forgotten the range and has answered. */
    DONE,
    /** The device has the request and answers later, by {@link TranslationUnit#completeInvalidation}. */
    LATER,
    /** No device answers: there is none, or it has no translation cache. The manual says what a time-out does. */
    NEVER
}
