// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/** Names the promises that a test checks: its failure means that one of them is broken. */
@Documented
@Retention(RetentionPolicy.RUNTIME)
@Target(ElementType.METHOD)
public @interface Promise {
    /** Returns ids of {@code docs/contracts.md}, for example {@code map-5}; the one that the test is about first. */
    String[] value();
}
