// SPDX-License-Identifier: Apache-2.0

/** What several packages of the silicon are made of; other modules don't see it. */
@org.jspecify.annotations.NullMarked
package org.iommu4j.sim.support;
