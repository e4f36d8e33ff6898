// SPDX-License-Identifier: Apache-2.0

/** Outcomes for people (text) and for programs (JSON). */
package org.iommu4j.workbench.report;
