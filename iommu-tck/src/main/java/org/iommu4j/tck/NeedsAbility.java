// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/**
 * Names an ability without which a test has nothing to test.
 *
 * <p>Where the {@link Subject} lacks it, the test is not skipped: {@link Ability#consequence} is checked in its place,
 * and the report says so.
 */
@Documented
@Retention(RetentionPolicy.RUNTIME)
@Target({ElementType.TYPE, ElementType.METHOD})
public @interface NeedsAbility {
    /** Returns the abilities, all of which are needed. */
    Ability[] value();
}
