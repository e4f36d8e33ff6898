// SPDX-License-Identifier: Apache-2.0

/** The recorder of events, from which verdicts and timelines come. */
package org.iommu4j.sim.trace;
