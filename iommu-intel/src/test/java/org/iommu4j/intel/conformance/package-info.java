// SPDX-License-Identifier: Apache-2.0

/** The conformance kit on VT-d. */
package org.iommu4j.intel.conformance;
