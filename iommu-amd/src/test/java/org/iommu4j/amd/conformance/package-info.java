// SPDX-License-Identifier: Apache-2.0

/** The conformance kit on AMD-Vi. */
package org.iommu4j.amd.conformance;
