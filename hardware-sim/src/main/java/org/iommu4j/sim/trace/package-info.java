// SPDX-License-Identifier: Apache-2.0

/** Records events, the source of verdicts and timelines. */
package org.iommu4j.sim.trace;
