// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import org.iommu4j.tck.driver.MappingContract;
import org.junit.jupiter.api.Nested;

/**
 * The promises of an opened driver, its devices and its domains, on machines with the vendor's silicon.
 *
 * <p>A vendor's test class extends this and has a static method {@code subjects()} without parameters:
 *
 * <pre>{@code
 * class MinimalDriverTest extends DriverConformance {
 *     static Stream<Subject> subjects() {
 *         return Subject.both(MinimalSilicon.machine(), Traits.builder().addressBits(39).can(IDENTITY).build());
 *     }
 * }
 * }</pre>
 */
public abstract class DriverConformance extends Conformance {
    /** Made by JUnit. */
    protected DriverConformance() {}

    /** Mapping. */
    @Nested
    class Mapping extends MappingContract {}
}
