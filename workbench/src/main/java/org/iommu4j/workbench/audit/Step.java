// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.audit;

/**
 * A step on the way from a device to its guest's caches.
 *
 * @param what what is asked
 * @param answer what comes out
 * @param source who decides it
 */
public record Step(String what, String answer, String source) {}
