// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import org.iommu4j.tck.driver.MappingContract;
import org.junit.jupiter.api.DisplayNameGeneration;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.MethodSource;

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
@ParameterizedClass(name = "{0}")
@MethodSource("subjects")
@DisplayNameGeneration(PromiseNames.class)
@ExtendWith(KitExtension.class)
public abstract class DriverConformance {
    /** What is tested; set by JUnit. */
    @Parameter
    Subject subject;

    /** Made by JUnit. */
    protected DriverConformance() {}

    /** Mapping. */
    @Nested
    class Mapping extends MappingContract {}
}
