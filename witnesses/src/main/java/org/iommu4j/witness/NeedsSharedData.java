// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.witness;

import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * Skips a test where a file or directory of {@link SharedData} is absent, or fails it where that is required.
 *
 * <p>For a test whose parameters come from such files: a test that ends while its parameters are made would be reported
 * neither as run nor as skipped.
 */
@Documented
@Target(ElementType.METHOD)
@Retention(RetentionPolicy.RUNTIME)
@ExtendWith(SharedDataCondition.class)
public @interface NeedsSharedData {
    /** Returns the path below the shared directory, with slashes, as for {@link SharedData#path}. */
    String value();
}
