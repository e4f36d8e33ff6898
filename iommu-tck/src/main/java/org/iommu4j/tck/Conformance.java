// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import org.junit.jupiter.api.DisplayNameGeneration;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Tests of one {@link Subject} after the other: a vendor's class has a static method {@code subjects()} without
 * parameters that lists them, as a stream or a collection.
 *
 * <p>Extended by {@link DriverConformance}, {@link VendorConformance} and {@link SiliconConformance} only.
 */
@ParameterizedClass(name = "{0}")
@MethodSource("subjects")
@DisplayNameGeneration(PromiseNames.class)
@ExtendWith(KitExtension.class)
@SuppressWarnings("exports") // the extension is the kit's own
public abstract class Conformance {
    /** What is tested; set by JUnit. */
    @Parameter
    Subject subject;

    Conformance() {}
}
