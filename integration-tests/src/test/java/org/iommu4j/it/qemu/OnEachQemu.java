// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.qemu;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.ClassTemplate;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * Runs a class's tests once on each QEMU of the build.
 *
 * <p>Its constructor takes a {@link QemuLab}. Where there is no QEMU the tests are skipped, or fail under
 * {@code -Diommu4j.qemu.required=true}.
 */
@Target(ElementType.TYPE)
@Retention(RetentionPolicy.RUNTIME)
@ClassTemplate
@ExtendWith(QemuExtension.class)
@interface OnEachQemu {}
